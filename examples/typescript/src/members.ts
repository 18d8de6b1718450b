// What a caller of muster has to do about failures.
//
// - One deadline a call, over all its attempts.
// - Repeated is only what may be: an error with a RetryInfo, or a connection that broke. A write carries an Idempotency-Key,
//   the same for every attempt, so that it is done once.
// - Between attempts: what RetryInfo asks for, and exponential back-off with full jitter, so that callers spread out.
// - A budget: retries are at most a tenth of all calls in the long run, so that they never become the overload themselves.
import { randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";

import * as grpc from "@grpc/grpc-js";

import { ErrorInfo, RetryInfo, Status } from "./stubs/google/rpc/error";
import { Member } from "./stubs/muster/v1/member";
import { MemberServiceClient } from "./stubs/muster/v1/member_service";

const ATTEMPTS_MAX = 6;
const DEADLINE_MS = 5000;
const BACKOFF_BASE_MS = 50;
const BACKOFF_MAX_MS = 2000;

// Every call puts in a tenth of a retry, every retry takes out a whole one. One for a process.
export class RetryBudget {
  private static readonly share = 0.1;
  private static readonly most = 10;
  private left = RetryBudget.most;

  onCall(): void {
    this.left = Math.min(RetryBudget.most, this.left + RetryBudget.share);
  }

  take(): boolean {
    if (this.left < 1) return false;
    this.left -= 1;
    return true;
  }
}

type Detail<T> = { decode(bytes: Uint8Array): T };

function detailOf<T>(error: grpc.ServiceError, name: string, detail: Detail<T>): T | undefined {
  const [packed] = error.metadata.get("grpc-status-details-bin");
  if (!Buffer.isBuffer(packed)) return undefined;
  const found = Status.decode(packed).details.find((any) => any.typeUrl.endsWith(`/google.rpc.${name}`));
  return found && detail.decode(found.value);
}

export function isServiceError(error: unknown): error is grpc.ServiceError {
  return error instanceof Error && "metadata" in error && "code" in error;
}

// The code of muster's closed table, or empty when muster did not answer.
export function reasonOf(error: unknown): string {
  const info = isServiceError(error) ? detailOf(error, "ErrorInfo", ErrorInfo) : undefined;
  return info?.domain === "muster" ? info.reason : "";
}

// How long to wait before the call is repeated, or undefined when that does not help.
function retryDelayMs(error: grpc.ServiceError): number | undefined {
  const info = detailOf(error, "RetryInfo", RetryInfo);
  if (info) return Number(info.retryDelay?.seconds ?? 0) * 1000 + (info.retryDelay?.nanos ?? 0) / 1e6;
  return error.code === grpc.status.UNAVAILABLE && reasonOf(error) === "" ? 0 : undefined;
}

type Rpc<Request> = (
  request: Request,
  metadata: grpc.Metadata,
  options: Partial<grpc.CallOptions>,
  callback: (error: grpc.ServiceError | null, member: Member) => void,
) => grpc.ClientUnaryCall;

export class Members {
  // On one machine; what leaves it goes through a proxy with TLS.
  readonly stub: MemberServiceClient;

  constructor(
    address: string,
    private readonly key: string,
    private readonly budget: RetryBudget,
  ) {
    this.stub = new MemberServiceClient(address, grpc.credentials.createInsecure());
  }

  // members.call(members.stub.getMember, request)
  async call<Request>(rpc: Rpc<Request>, request: Request): Promise<Member> {
    const deadline = Date.now() + DEADLINE_MS;
    const metadata = new grpc.Metadata();
    metadata.set("authorization", `Bearer ${this.key}`);
    metadata.set("idempotency-key", randomUUID()); // reads ignore it
    this.budget.onCall();
    for (let attempt = 0; ; attempt += 1) {
      try {
        return await new Promise<Member>((resolve, reject) => {
          rpc.call(this.stub, request, metadata, { deadline }, (error, member) => (error ? reject(error) : resolve(member)));
        });
      } catch (error) {
        const asked = isServiceError(error) ? retryDelayMs(error) : undefined;
        if (asked === undefined || attempt + 1 === ATTEMPTS_MAX) throw error;
        const wait = Math.max(asked, Math.random() * Math.min(BACKOFF_MAX_MS, BACKOFF_BASE_MS * 2 ** attempt));
        if (Date.now() + wait >= deadline || !this.budget.take()) throw error;
        await sleep(wait);
      }
    }
  }

  close(): void {
    this.stub.close();
  }
}
