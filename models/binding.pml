/*
 * Binding: one identity, one member (src/store/binding_steps.h).
 *
 * One identity K, two members, three binds, two unbinds, a sweeper, a resolve, and time that lets operations grow old and
 * their outcomes be forgotten. Every transaction is one atomic step; every process may crash instead of any of its steps,
 * and everything else may happen between two of them.
 *
 * Checked at every step:
 *   ONE      at most one member lists K;
 *   ROW      a member that lists K by operation o has the lookup row (member, o): so nobody can reserve it from FREE;
 *   RESOLVE  "nobody holds K" is answered only if at some moment of the call nobody did.
 * Checked at the end, when all are done or dead and the sweeper has walked once more: lookup row and members agree.
 *
 * The third bind is for member THIRD (by symmetry, 1 covers 2 unless one of them is local).
 * -DLOCAL puts member 1 into K's database: its binds and unbinds are then one transaction, and write no operation row.
 * -DRESOLVE replaces the third bind by a resolve, and lets K be moved from member 1 to member 2 in one transaction, as a
 *   merge in one database will. (Without such a move there is a moment between unbind and bind at which nobody holds K.)
 *
 * A bind waits a while before it aborts another (kPatienceWith…); here it may abort at any moment, which covers that.
 *
 * Each of these removes one thing the protocol stands on; spin must find what goes wrong then:
 *   -DNO_FENCE      commit does not look whether its operation was aborted
 *   -DNO_AGE        commit does not look how old its operation is
 *   -DFORGET_YOUNG  an outcome is forgotten while its operation may still commit
 *   -DNO_ABORT      a dangling row is taken without aborting its operation
 *   -DBLIND_SWAP    a dangling row is taken without comparing
 *   -DFREE_BY_KEY   unbind frees the row by the key alone
 *   -DREAD_OP_LATE  unbind frees the row of the operation that it reads from the row after its commit
 *   -DONE_LOOK      resolve does not look a second time (with -DRESOLVE)
 */

#define FREE 0      /* row_member: nobody */
#define NONE 0      /* outcome, operation */
#define COMMITTED 1
#define ABORTED 2
#define BINDS 3     /* operations 1 .. BINDS */
#define PROCESSES 6 /* that end: binds, unbinds, sweeper */
#define TRIES 2     /* looks at a row that is in the way */
#ifndef THIRD
#define THIRD 1
#endif

byte row_member, row_op;       /* K's lookup row */
bool lists[3];                 /* by member 1, 2: lists K */
byte bound_by[3];              /* the operation that bound it */
byte outcome[BINDS + 1];       /* by operation, in its member's database */
bool under_way[BINDS + 1];     /* the operation's process may still commit it */
bool aged[BINDS + 1];          /* older than kOperationAgeMax by its database's clock */
byte ended;                    /* processes that are done or dead */
bool nobody_held = true;       /* at some moment since the resolve began, or would have begun */

/* What must hold after every transaction. */
#define CHECK                                                                                  \
  nobody_held = nobody_held || (!lists[1] && !lists[2]);                                       \
  assert(!(lists[1] && lists[2]));                                                             \
  assert(!lists[1] || (row_member == 1 && row_op == bound_by[1]));                             \
  assert(!lists[2] || (row_member == 2 && row_op == bound_by[2]))

/* The process is done, or crashes. What it knew is forgotten, so that states that differ in it are one. */
#define END_BIND                                                                               \
  seen_member = 0; seen_op = 0; tries = 0; holds = false; under_way[op] = false; aged[op] = false; \
  ended++; goto end_over
#define END_UNBIND op = 0; ended++; goto end_over
#define END_SWEEP seen_member = 0; seen_op = 0; holds = false; ended++; goto end_over
#define END_RESOLVE seen_member = 0; seen_op = 0; tries = 0; nobody_held = true; ended++; goto end_over

/* In the member's database: does it hold K? If not, `o` shall never commit. */
inline settle(m, o, holds) {
  holds = lists[m];
  if
#ifndef NO_ABORT
  :: !holds && outcome[o] == NONE -> outcome[o] = ABORTED
#endif
  :: else
  fi
}

#ifdef NO_FENCE
#define NOT_ABORTED(o) true
#else
#define NOT_ABORTED(o) (outcome[o] == NONE)
#endif
#ifdef NO_AGE
#define YOUNG(o) true
#else
#define YOUNG(o) (!aged[o])
#endif
#ifdef FORGET_YOUNG
#define MAY_FORGET(o) true
#else
/* It was recorded after the operation began, and is kept longer than an operation may take: so the operation has aged. */
#define MAY_FORGET(o) aged[o]
#endif
#ifdef BLIND_SWAP
#define ROW_IS(m, o) true
#else
#define ROW_IS(m, o) (row_member == m && row_op == o)
#endif

proctype Bind(byte op; byte m) {
  byte seen_member, seen_op, tries;
  bool holds;

#ifdef LOCAL
  atomic {
    if
    :: m == 1 && row_member != 2 ->            /* else its owner is in another database: across */
       if
       :: row_member == 1 -> settle(1, row_op, holds)
       :: else
       fi;
       if
       :: !holds -> row_member = 1; row_op = op; lists[1] = true; bound_by[1] = op
       :: else
       fi;
       CHECK;
       END_BIND
    :: else
    fi
  }
#endif

reserve:
  if
  :: atomic { row_member == FREE -> row_member = m; row_op = op; goto commit }
  :: atomic { row_member != FREE -> seen_member = row_member; seen_op = row_op }
  :: atomic { END_BIND }                       /* crash, here and below */
  fi;
  if
  :: atomic {
       settle(seen_member, seen_op, holds);
       if
       :: holds -> END_BIND                      /* taken, or held already */
       :: else
       fi
     }
  :: atomic { END_BIND }
  fi;
  if
  :: atomic {
       if
       :: ROW_IS(seen_member, seen_op) -> row_member = m; row_op = op; seen_member = 0; seen_op = 0; tries = 0; CHECK
       :: else ->
          seen_member = 0; seen_op = 0; tries++;
          if :: tries < TRIES -> goto reserve :: else -> END_BIND fi
       fi
     }
  :: atomic { END_BIND }
  fi;
commit:
  if
  :: atomic {
       under_way[op] = false;
       if
       :: NOT_ABORTED(op) && YOUNG(op) && !lists[m] ->
          outcome[op] = COMMITTED; lists[m] = true; bound_by[m] = op;
          CHECK;
          END_BIND
       :: else
       fi
     }
  :: atomic { END_BIND }
  fi;
  if
  :: atomic {                                  /* refused: gives its reservation back */
       if
       :: row_member == m && row_op == op -> row_member = FREE; row_op = NONE; CHECK
       :: else
       fi;
       END_BIND
     }
  :: atomic { END_BIND }
  fi;
end_over:
  false
}

proctype Unbind(byte m) {
  byte op;

  atomic {
    if
    :: lists[m] ->
       op = bound_by[m]; lists[m] = false; bound_by[m] = NONE;
#ifdef LOCAL
       if
       :: m == 1 ->
          if :: row_member == 1 && row_op == op -> row_member = FREE; row_op = NONE :: else fi;
          CHECK;
          END_UNBIND
       :: else
       fi;
#endif
       CHECK
    :: else -> END_UNBIND
    fi
  }
#ifdef READ_OP_LATE
  op = row_op;
#endif
  if
  :: atomic {
       if
#ifdef FREE_BY_KEY
       :: true -> row_member = FREE; row_op = NONE; CHECK
#else
       :: row_member == m && row_op == op -> row_member = FREE; row_op = NONE; CHECK
#endif
       :: else
       fi;
       END_UNBIND
     }
  :: atomic { END_UNBIND }
  fi;
end_over:
  false
}

proctype Sweep() {
  byte seen_member, seen_op;
  bool holds;

  atomic {
    if
    :: row_member != FREE -> seen_member = row_member; seen_op = row_op
    :: row_member == FREE -> END_SWEEP
    fi
  }
  if
  :: atomic {
       settle(seen_member, seen_op, holds);
       if :: holds -> END_SWEEP :: else fi
     }
  :: atomic { END_SWEEP }
  fi;
  if
  :: atomic {
       if
       :: ROW_IS(seen_member, seen_op) -> row_member = FREE; row_op = NONE; CHECK
       :: else
       fi;
       END_SWEEP
     }
  :: atomic { END_SWEEP }
  fi;
end_over:
  false
}

/* Reads only; a row that keeps changing is looked at TRIES times more. */
proctype Resolve() {
  byte seen_member, seen_op, tries;

  atomic {
    nobody_held = !lists[1] && !lists[2];
    if
    :: row_member == FREE -> assert(!lists[1] && !lists[2]); END_RESOLVE /* nobody */
    :: else -> seen_member = row_member; seen_op = row_op
    fi
  }
again:
  atomic {
    if
    :: lists[seen_member] -> END_RESOLVE         /* answers seen_member, which holds K at this moment */
    :: else
    fi
  }
  atomic {
#ifdef ONE_LOOK
    assert(nobody_held);
#else
    if
    :: row_member == seen_member && row_op == seen_op -> assert(nobody_held)
    :: row_member == FREE -> assert(!lists[1] && !lists[2])
    :: else ->
       seen_member = row_member; seen_op = row_op; tries++;
       if :: tries <= TRIES -> goto again :: else fi
    fi;
#endif
    END_RESOLVE
  }
end_over:
  false
}

/* Both members and K in one database. */
proctype Move() {
end_move:
  atomic {
    lists[1] ->
    lists[1] = false; bound_by[1] = NONE; lists[2] = true; bound_by[2] = 3; row_member = 2; row_op = 3;
    CHECK
  }
}

/*
 * An operation may grow old at any moment, and what is recorded of it be forgotten. Of one that is over this need not be
 * tried: its outcome is asked for by its own commit alone.
 */
proctype Time() {
end:
  do
  :: under_way[1] && !aged[1] -> aged[1] = true
  :: under_way[2] && !aged[2] -> aged[2] = true
  :: under_way[3] && !aged[3] -> aged[3] = true
  :: atomic { under_way[1] && outcome[1] != NONE && MAY_FORGET(1) -> outcome[1] = NONE }
  :: atomic { under_way[2] && outcome[2] != NONE && MAY_FORGET(2) -> outcome[2] = NONE }
  :: atomic { under_way[3] && outcome[3] != NONE && MAY_FORGET(3) -> outcome[3] = NONE }
  od
}

/* The sweeper's last walk, when nobody else runs any more. */
proctype End() {
  bool holds;

  atomic {
    ended == PROCESSES ->
    if
    :: row_member != FREE ->
       settle(row_member, row_op, holds);
       if :: !holds -> row_member = FREE; row_op = NONE :: else fi
    :: else
    fi;
    CHECK;
    assert(row_member == FREE || lists[row_member])
  }
}

init {
  atomic {
    under_way[1] = true; under_way[2] = true; under_way[3] = true;
    run Bind(1, 1); run Bind(2, 2);
#ifdef RESOLVE
    run Resolve(); run Move();
#else
    run Bind(3, THIRD);
#endif
    run Unbind(1); run Unbind(2);
    run Sweep(); run Time(); run End()
  }
}
