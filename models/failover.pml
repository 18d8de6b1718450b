/*
 * Losing a center: no acknowledged write is lost, and two centers never accept writes at once.
 *
 * One group of the store: its primary in center A, two replicas in B whose acknowledgement a commit waits for (the ackers), a
 * server that writes through A's primary as long as it holds its lease, and two controllers, of which any may crash after any
 * step and the other goes on by the journal; also a slow one may go on beside it. Each command to a database, each message
 * and each compare-and-swap of the topology is one atomic step; everything else may happen between two of them.
 *
 * Checked:
 *   LOST      what was acknowledged in A is in the log that is promoted in B;
 *   TWO       nothing is acknowledged in A once B has opened, and one database of B opens at most;
 *   DIVERGED  who follows the new primary, the other acker or the old primary that is back, holds nothing that it lacks.
 *
 * Faults: A's databases are lost or freeze and thaw; an acker is out of reach and comes back; the server's messages take any time.
 * A log is the number of A's writes that it holds: a replica receives them in order.
 *
 * Each of these removes one thing the protocol stands on; spin must find what goes wrong then:
 *   -DNO_ACK         a commit does not wait for an acker
 *   -DANY_ACKER      the failover takes the first acker's log, not the highest
 *   -DONE_REACHED    the failover goes on without an acker that is out of reach
 *   -DNO_STOP        ackers still receive while the highest log is looked for
 *   -DOUT_FIRST      an acker is taken out of the topology before its acknowledgements are stopped
 *   -DOUT_BEHIND     an acker is taken out while the other one lacks what it may have acknowledged alone
 *   -DIN_LAST        an acker that is back acknowledges before the topology names it
 *   -DNO_WAIT        the failover does not wait out the lease
 *   -DFROM_REPLY     a lease is timed from the answer, not from before the question
 *   -DNO_CHECK_AFTER the server does not look at its lease after the commit
 *   -DNO_JOURNAL     the database to promote is not written down before it is promoted
 *   -DNO_TRUNCATE    the old primary comes back with all it had
 */

#define WRITES 2

/* Logs. log[0]: the primary in A; log[1], log[2]: the ackers in B. */
byte log[3];
bool receives[3];            /* its receiving thread runs */
bool reached[3];             /* the controllers reach it */
bool acks[3];                /* the primary counts its acknowledgements */
bool a_runs = true;          /* else it is frozen, or gone */
byte acknowledged;           /* of A's writes, the last that was */

/* The topology. */
byte epoch = 1;              /* 2: the writer is B, or will be */
bool acker[3];               /* named as one that may hold the last write alone */
byte chosen;                 /* journal: the database to promote */
byte promoted_log;           /* how many of A's writes it had then */

bool waited;                 /* the lease's length has passed since the epoch moved */
byte promoted;               /* the database of B that accepts writes */
bool lease;                  /* the server in A may write */
bool asked, answered;        /* its question for the epoch is under way; it was answered with epoch 1 */

proctype Server() {
  byte mine;

  do
  :: mine < WRITES && lease && a_runs ->
end_commit:
     atomic { a_runs && log[0] == mine -> log[0]++; mine++ }
     /* AFTER_SYNC: the commit returns when an acker has the write. */
#ifndef NO_ACK
end_ack:
     (acks[1] && log[1] >= mine) || (acks[2] && log[2] >= mine);
#endif
     if
     :: atomic {
#ifndef NO_CHECK_AFTER
          lease ->
#endif
          assert(promoted == 0);                             /* TWO */
          acknowledged = mine
        }
     :: true                                                 /* outcome unknown */
     fi
  :: break
  od;
end_over:
  false
}

proctype Lease() {
end:
  do
  :: atomic { !asked -> asked = true; answered = false }
  :: atomic { asked && !answered && epoch == 1 -> answered = true }
#ifdef FROM_REPLY
  :: atomic { asked && answered -> lease = true; asked = false; answered = false }
#else
  :: atomic { asked && answered -> lease = !waited; asked = false; answered = false }
#endif
  :: atomic { lease -> lease = false }
  od
}

proctype Replication() {
end:
  do
  :: atomic { a_runs && receives[1] && log[1] < log[0] -> log[1]++ }
  :: atomic { a_runs && receives[2] && log[2] < log[0] -> log[2]++ }
  od
}

/* Takes the second acker out of the set when it is out of reach, while the primary lives; and puts it back. */
proctype Upkeep() {
  byte position;

end_out:
#ifdef OUT_FIRST
  atomic { epoch == 1 && !reached[2] -> acker[2] = false };
end_out_late:
  atomic { a_runs -> acks[2] = false };
#else
  atomic { a_runs && !reached[2] -> acks[2] = false; position = log[0] };
#ifndef OUT_BEHIND
end_behind:
  log[1] >= position;              /* of what the acker may have acknowledged alone, the other one has all */
#endif
end_topology:
  atomic { epoch == 1 -> acker[2] = false };
#endif
end_in:
#ifdef IN_LAST
  atomic { a_runs && reached[2] -> acks[2] = true };
end_in_late:
  atomic { epoch == 1 -> acker[2] = true }
#else
  atomic { epoch == 1 && reached[2] -> acker[2] = true };
end_acks:
  atomic { a_runs && acker[2] -> acks[2] = true }
#endif
}

/* A freezes and thaws once, and so is the second acker out of reach; A that stays frozen is A lost. */
proctype Faults() {
end_freeze:
  atomic { a_runs -> a_runs = false };
end_thaw:
  atomic { !a_runs -> a_runs = true }
}

proctype Reach() {
end_away:
  atomic { reached[2] -> reached[2] = false };
end_back:
  atomic { !reached[2] -> reached[2] = true }
}

#ifdef ONE_REACHED
#define ASKED(n) (acker[n] && reached[n])
#define SKIPPED(n) (!acker[n] || !reached[n])
#else
#define ASKED(n) (acker[n] && reached[n])
#define SKIPPED(n) (!acker[n])
#endif

/* Whoever detects is sometimes wrong: A need not be lost. */
proctype Controller() {
  byte first, second;              /* what the ackers have, and 1; 0: it was not asked */
  byte best;

  if
  :: atomic { epoch == 1 -> epoch = 2 }
  :: epoch == 2                    /* another controller has begun */
  :: goto end_over                 /* crash, here and below; or another controller is waited for */
  fi;
#ifndef NO_STOP
  if
  :: atomic { ASKED(1) -> receives[1] = false }
  :: atomic { SKIPPED(1) }
  :: goto end_over                 /* or an acker is out of reach: refuses, and says so; another try may do better */
  fi;
  if
  :: atomic { ASKED(2) -> receives[2] = false }
  :: atomic { SKIPPED(2) }
  :: goto end_over
  fi;
#endif
  if
  :: atomic { ASKED(1) -> first = log[1] + 1 }
  :: atomic { SKIPPED(1) }
  :: goto end_over
  fi;
  if
  :: atomic { ASKED(2) -> second = log[2] + 1 }
  :: atomic { SKIPPED(2) }
  :: goto end_over
  fi;
  if
#ifdef ANY_ACKER
  :: first != 0 -> best = 1
  :: second != 0 -> best = 2
#else
  :: first != 0 && first >= second -> best = 1
  :: second != 0 && second >= first -> best = 2
#endif
  :: goto end_over
  fi;
#ifndef NO_JOURNAL
  if
  :: atomic { chosen == 0 -> chosen = best }
  :: atomic { chosen != 0 -> best = chosen }
  :: goto end_over
  fi;
#endif
  /* Only now: that ackers stop receiving takes acknowledgements away, and can be done while the leases run out. */
#ifndef NO_WAIT
  if
  :: atomic { true -> waited = true; lease = false }
  :: goto end_over
  fi;
#endif
  if
  :: atomic {
       reached[best] ->
       assert(promoted == 0 || promoted == best);            /* TWO */
       if
       :: promoted == 0 ->
          promoted = best; promoted_log = log[best]; receives[best] = false;
          assert(acknowledged <= promoted_log)               /* LOST */
       :: else
       fi
     }
  :: goto end_over
  fi;
  if
  :: atomic { ASKED(3 - best) -> assert(log[3 - best] <= promoted_log) }    /* DIVERGED: it follows from here */
  :: atomic { SKIPPED(3 - best) }  /* comes back as the old primary does */
  :: goto end_over
  fi;
end_over:
  first = 0; second = 0; best = 0
}

/* The old primary, when it is back, and finds in the topology that another one was promoted. */
proctype Rejoin() {
end:
  atomic {
    a_runs && promoted != 0 ->
#ifndef NO_TRUNCATE
    log[0] = (log[0] > promoted_log -> promoted_log : log[0]);
#endif
    assert(log[0] <= promoted_log)                           /* DIVERGED */
  }
}

init {
  atomic {
    receives[1] = true; receives[2] = true; reached[1] = true; reached[2] = true;
    acks[1] = true; acks[2] = true; acker[1] = true; acker[2] = true;
    run Server(); run Lease(); run Replication(); run Upkeep(); run Faults(); run Reach();
    run Controller(); run Controller(); run Rejoin()
  }
}
