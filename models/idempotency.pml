/*
 * Idempotency: a request that is sent again with its key is done once (src/store/binding_claim.h, decision 0018).
 *
 * A registration that binds one identity K, sent twice with one key, by two processes at once or one after the other;
 * somebody else who binds K (member 4); whoever holds K may give it up; and time, which lets deadlines pass,
 * operations be aborted, and the sweeper forget the answer. The key's database, K's and member 4's are three: every
 * transaction is one atomic step, every process may crash instead of any of its steps (then its answer is lost), and
 * everything else may happen between two of them.
 *
 * An attempt looks for the answer before it begins, in the transaction that commits, and after a refusal.
 *
 * Checked at every step:
 *   ONCE     while the answer is to be kept the request is done by no second attempt. That is until kAnswerRetention
 *            after the first; what was sent a deadline earlier than that, or before the first, is bound by it;
 *   SAME     an attempt that is answered is answered with what the first one was: the member as it was then;
 *   REFUSED  no attempt is refused for what the first one did;
 *   ONE, ROW as in binding.pml: whoever is answered again leaves nothing behind that is in the way of K's holder.
 *
 * -DBIND   the request binds K to member 1, instead of making a member
 * -DTHIRD  it is sent three times, and nobody else binds K
 *
 * Each of these removes one thing the protocol stands on; spin must find what goes wrong then:
 *   -DNO_LOOK_IN_COMMIT  the answer is looked for before the transaction that commits, not in it
 *   -DNO_LOOK_AT_REFUSAL what is refused is not looked for again
 *   -DLATE_ANSWER        the answer is kept in a transaction of its own, after the commit
 *   -DANYWHERE           a new member's id is not taken from the database of the key, so its repetition looks elsewhere
 *   -DANSWER_NOW         a repetition is answered with the member as it is by then
 *   -DFORGET_EARLY       the answer is forgotten before its time
 *   -DNO_DEADLINE        a commit does not look whether its deadline has passed
 */

#define FREE 0
#define NONE 0
#define OTHER 4 /* operation and member; attempts are 1 to 3, and in a registration so are their members */

byte row_member, row_op;      /* K's lookup row */
bool lists[OTHER + 1];
byte bound_by[OTHER + 1];
byte version[OTHER + 1];      /* of the members: 1 when it lists K first, 2 when it has given it up */
bool aborted[OTHER + 1];
bool under_way[OTHER + 1];    /* the attempt was sent, and may still commit */
bool late[OTHER + 1];         /* its deadline has passed */

/* The answer, by the databases where it may lie: one, but for -DANYWHERE. */
bool kept[3];
byte kept_member[3], kept_version[3];

/* What is to hold, whatever is kept. */
bool done;                    /* the request was, and its answer is to be kept yet or was not missed since */
byte first_member, first_version;
bool old;                     /* so long ago that who is sent now may find nothing */
bool fresh[OTHER + 1];        /* the attempt was sent then */

#ifdef BIND
#define MEMBER(n) 1
#else
#define MEMBER(n) n
#endif
#ifdef ANYWHERE
#define HOME(n) (n == 1 -> 1 : 2)
#else
#define HOME(n) 1
#endif
#ifdef NO_LOOK_IN_COMMIT
#define ANSWERED_IN_COMMIT(n) false
#else
#define ANSWERED_IN_COMMIT(n) kept[HOME(n)]
#endif
#ifdef NO_LOOK_AT_REFUSAL
#define ANSWERED_AT_REFUSAL(n) false
#else
#define ANSWERED_AT_REFUSAL(n) kept[HOME(n)]
#endif
#ifdef NO_DEADLINE
#define IN_TIME(n) true
#else
#define IN_TIME(n) (!late[n])
#endif
#ifdef ANSWER_NOW
#define ANSWER_VERSION(n) version[kept_member[HOME(n)]]
#else
#define ANSWER_VERSION(n) kept_version[HOME(n)]
#endif

#define LISTS_WELL(m) (!lists[m] || (row_member == m && row_op == bound_by[m]))
#define CHECK                                                                       \
  assert(lists[1] + lists[2] + lists[3] + lists[OTHER] <= 1);                       \
  assert(LISTS_WELL(1) && LISTS_WELL(2) && LISTS_WELL(3) && LISTS_WELL(OTHER))

/* Done, or crashed. What it knew is forgotten, so that states that differ in it are one. */
#define END                                                                         \
  seen_member = 0; seen_op = 0; holds = false; again = false;                       \
  under_way[n] = false; late[n] = false; fresh[n] = false; goto end_over
#define CRASH atomic { END }
#define REPLAY assert(kept_member[HOME(n)] == first_member && ANSWER_VERSION(n) == first_version)

inline keep(n) {
  kept[HOME(n)] = true; kept_member[HOME(n)] = MEMBER(n); kept_version[HOME(n)] = 1
}

/* In the member's database: does it hold K? If not, the operation shall never commit. */
inline settle() {
  holds = lists[seen_member];
  if
  :: !holds -> aborted[seen_op] = true
  :: else
  fi
}

inline swap(m) {
  if
  :: row_member == seen_member && row_op == seen_op -> row_member = m; row_op = n; CHECK; seen_member = 0; seen_op = 0
  :: else ->
     seen_member = 0; seen_op = 0;
     if :: again -> END :: else -> again = true; goto reserve fi
  fi
}

proctype Attempt(byte n) {
  byte seen_member, seen_op;
  bool holds, again;

  atomic { under_way[n] = true; fresh[n] = done && old }
  if
  :: atomic { if :: kept[HOME(n)] -> REPLAY; END :: else fi }
  :: CRASH
  fi;
reserve:
  if
  :: atomic { row_member == FREE -> row_member = MEMBER(n); row_op = n; CHECK; goto commit }
  :: atomic { row_member != FREE -> seen_member = row_member; seen_op = row_op }
  :: CRASH
  fi;
  if
  :: atomic {
       settle();
       if
       :: holds && seen_member == MEMBER(n) -> goto commit /* it holds K already: nothing to reserve */
       :: holds && seen_member != MEMBER(n) -> goto refused
       :: else
       fi
     }
  :: CRASH
  fi;
  if
  :: atomic { swap(MEMBER(n)) }
  :: CRASH
  fi;
commit:
  if
  :: atomic {
       if
       :: ANSWERED_IN_COMMIT(n) -> REPLAY; goto release
       :: !ANSWERED_IN_COMMIT(n) && !aborted[n] && IN_TIME(n) && !holds && !lists[MEMBER(n)] ->
          assert(!done || fresh[n]);
          fresh[1] = false; fresh[2] = false; fresh[3] = false;
          done = true; old = false; first_member = MEMBER(n); first_version = 1;
          lists[MEMBER(n)] = true; bound_by[MEMBER(n)] = n; version[MEMBER(n)] = 1;
          CHECK;
#ifdef LATE_ANSWER
          under_way[n] = false
#else
          keep(n);
          END
#endif
       :: else -> goto release /* to be tried again */
       fi
     }
  :: CRASH
  fi;
#ifdef LATE_ANSWER
  if
  :: atomic { keep(n); END }
  :: CRASH
  fi;
#endif
release:
  if
  :: atomic {
       if
       :: row_member == MEMBER(n) && row_op == n -> row_member = FREE; row_op = NONE; CHECK
       :: else
       fi;
       END
     }
  :: CRASH
  fi;
refused:
  if
  :: atomic {
       if
       :: !IN_TIME(n) -> END
       :: IN_TIME(n) && ANSWERED_AT_REFUSAL(n) -> REPLAY
       :: else -> assert(!done || fresh[n] || seen_member != first_member)
       fi;
       END
     }
  :: CRASH
  fi;
end_over:
  false
}

/* Somebody else, without a key. */
proctype Bind(byte n) {
  byte seen_member, seen_op;
  bool holds, again;

reserve:
  if
  :: atomic { row_member == FREE -> row_member = n; row_op = n; CHECK; goto commit }
  :: atomic { row_member != FREE -> seen_member = row_member; seen_op = row_op }
  :: CRASH
  fi;
  if
  :: atomic {
       settle();
       if :: holds -> END :: else fi
     }
  :: CRASH
  fi;
  if
  :: atomic { swap(n) }
  :: CRASH
  fi;
commit:
  if
  :: atomic {
       if
       :: !aborted[n] -> lists[n] = true; bound_by[n] = n; version[n] = 1; CHECK
       :: else
       fi;
       END
     }
  :: CRASH
  fi;
end_over:
  false
}

/* Whoever holds K gives it up. */
proctype Unbind() {
  byte m, op;

end_held:
  atomic {
    if
    :: lists[1] -> m = 1
    :: lists[2] -> m = 2
    :: lists[3] -> m = 3
    :: lists[OTHER] -> m = OTHER
    fi;
    op = bound_by[m]; lists[m] = false; bound_by[m] = NONE; version[m] = 2;
    CHECK
  }
  if
  :: atomic {
       if
       :: row_member == m && row_op == op -> row_member = FREE; row_op = NONE; CHECK
       :: else
       fi;
       m = 0; op = 0;
       goto end_over
     }
  :: atomic { m = 0; op = 0; goto end_over }
  fi;
end_over:
  false
}

/* Its deadline is shorter than answers are kept: who was sent before the answer grew old is late when it is forgotten. */
#define IS_OVER(n) (!under_way[n] || late[n] || fresh[n])
#ifdef FORGET_EARLY
#define MAY_FORGET true
#else
#define MAY_FORGET (old && IS_OVER(1) && IS_OVER(2) && IS_OVER(3))
#endif

proctype Time() {
end:
  do
  :: under_way[1] && !late[1] -> late[1] = true
  :: under_way[2] && !late[2] -> late[2] = true
  :: under_way[3] && !late[3] -> late[3] = true
  :: atomic { done && !old -> old = true }
  :: atomic {
       (kept[1] || kept[2]) && MAY_FORGET ->
       kept[1] = false; kept_member[1] = 0; kept_version[1] = 0;
       kept[2] = false; kept_member[2] = 0; kept_version[2] = 0
     }
  od
}

init {
  atomic {
    run Attempt(1); run Attempt(2);
#ifdef THIRD
    run Attempt(3);
#else
    run Bind(OTHER);
#endif
    run Unbind(); run Time()
  }
}
