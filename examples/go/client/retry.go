// Package client is what a caller of muster has to do about failures, as one gRPC interceptor.
//
//   - One deadline a call, over all its attempts: that of the context.
//   - Repeated is only what may be: an error with a RetryInfo, or a connection that broke. A write carries an Idempotency-Key,
//     the same for every attempt, so that it is done once.
//   - Between attempts: what RetryInfo asks for, and exponential back-off with full jitter, so that callers spread out.
//   - A budget: retries are at most a tenth of all calls in the long run, so that they never become the overload themselves.
package client

import (
	"context"
	"crypto/rand"
	"math"
	mathrand "math/rand/v2"
	"sync"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

const (
	attemptsMax = 6
	backoffBase = 50 * time.Millisecond
	backoffMax  = 2 * time.Second
	deadline    = 5 * time.Second // where the caller's context has none
)

// Budget is shared by all calls of a process. Every call puts in a tenth of a retry, every retry takes out a whole one.
type Budget struct {
	mutex sync.Mutex
	left  float64
}

const (
	budgetShare = 0.1
	budgetMost  = 10
)

// NewBudget returns a full one.
func NewBudget() *Budget { return &Budget{left: budgetMost} }

func (b *Budget) onCall() {
	b.mutex.Lock()
	defer b.mutex.Unlock()
	b.left = math.Min(budgetMost, b.left+budgetShare)
}

func (b *Budget) take() bool {
	b.mutex.Lock()
	defer b.mutex.Unlock()
	if b.left < 1 {
		return false
	}
	b.left--
	return true
}

// Reason is the code of muster's closed table, or empty when muster did not answer.
func Reason(err error) string {
	for _, detail := range status.Convert(err).Details() {
		if info, ok := detail.(*errdetails.ErrorInfo); ok && info.GetDomain() == "muster" {
			return info.GetReason()
		}
	}
	return ""
}

// mayRepeat says whether the same call may succeed later, and how long the server asks to wait.
func mayRepeat(err error) (time.Duration, bool) {
	for _, detail := range status.Convert(err).Details() {
		if info, ok := detail.(*errdetails.RetryInfo); ok {
			return info.GetRetryDelay().AsDuration(), true
		}
	}
	return 0, Reason(err) == "" && status.Code(err) == codes.Unavailable
}

// Interceptor sends `key` and an Idempotency-Key with every call, and repeats it within `budget`. Reads ignore the key.
func Interceptor(key string, budget *Budget) grpc.UnaryClientInterceptor {
	return func(ctx context.Context, method string, request, answer any, connection *grpc.ClientConn,
		invoke grpc.UnaryInvoker, options ...grpc.CallOption) error {
		if _, ok := ctx.Deadline(); !ok {
			var cancel context.CancelFunc
			ctx, cancel = context.WithTimeout(ctx, deadline)
			defer cancel()
		}
		ctx = metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+key, "idempotency-key", rand.Text())
		budget.onCall()
		for attempt := 0; ; attempt++ {
			err := invoke(ctx, method, request, answer, connection, options...)
			if err == nil || attempt+1 == attemptsMax {
				return err
			}
			asked, ok := mayRepeat(err)
			wait := max(asked, jitter(attempt))
			end, _ := ctx.Deadline()
			if !ok || time.Now().Add(wait).After(end) || !budget.take() {
				return err
			}
			select {
			case <-time.After(wait):
			case <-ctx.Done():
				return err
			}
		}
	}
}

func jitter(attempt int) time.Duration {
	return time.Duration(mathrand.Int64N(int64(min(backoffMax, backoffBase<<attempt))))
}
