/*
 * Merge and unmerge: a member gives an identity to a member of another database (src/store/move_steps.h).
 *
 * One identity K, which member 1 holds in the beginning; member 1 is merged into member 2 (operation 1) and taken back
 * (operation 2); member 3 wants to bind K (operation 3), member 2 may unbind it; settlers end what they find begun, a
 * sweeper frees dangling lookup rows, and time lets operations grow old and their outcomes be forgotten. The members and
 * K live in four databases: every transaction is one atomic step, every process may crash instead of any of its steps,
 * and everything else may happen between two of them.
 *
 * HOLDS(m): m lists K, and has not given it away by a move that is committed though m's own row does not say so yet.
 *
 * Checked at every step:
 *   ONE      at most one member holds K;
 *   ROW      the lookup row leads to the holder: it names it, or the member that gives it to the holder;
 *   EXACT    an unmerge gives back only what was brought and has not been unbound since;
 *   RESOLVE  a member is answered only if it held K at some moment of the call, nobody only if at some moment nobody did.
 * Checked at the end, when all are done or dead and every move has been settled: no marks, and lookup row and members agree.
 *
 * -DCROSS   member 2 is merged into member 1 (operation 2) instead of the unmerge: both at once
 * -DREBIND  member 2, not member 3, binds K: after it was unbound it is not what was brought any more
 * -DRESOLVE a resolve instead of the bind
 *
 * A write that meets a mark waits before it aborts; here a settler may abort at any moment, which covers that.
 *
 * Each of these removes one thing the protocol stands on; spin must find what goes wrong then:
 *   -DFINISH_EARLY  the giver is finished before the lookup row is passed on
 *   -DRECEIPT_EARLY the taker's mark goes before the giver's
 *   -DNO_BLOCK      a member that gives takes writes
 *   -DNO_FENCE      the commit does not look whether its operation was aborted
 *   -DNO_AGE        the commit does not look how old its operation is
 *   -DBLIND_PASS    the lookup row is passed on without comparing
 *   -DNO_ORIGIN     an unmerge gives back what is there, however it came there (with -DREBIND)
 *   -DNO_RECEIPT    a reader does not look whether the move is committed (with -DRESOLVE)
 *   -DONE_LOOK      a reader does not look at the giver a second time (with -DRESOLVE)
 */

#define FREE 0
#define NONE 0
#define ABORTED 1
#define GIVES 1
#define TAKES 2
#define FIRST 4     /* the operation that had bound K to member 1 */
#if defined(CROSS) || defined(REBIND) || defined(RESOLVE)
#define PROCESSES 5 /* that end: two moves, a bind or resolve, an unbind, settlers */
#else
#define PROCESSES 6
#endif

byte row_member = 1, row_op = FIRST; /* K's lookup row */
bool lists[4];
byte bound_by[4];
byte born[4];        /* which binding it is that a member lists: what the origin says */
byte merged[4];      /* into whom */
byte role[4];        /* of the mark */
byte mark_op[4];
byte other[4];
bool gives[4];       /* K is among what the mark gives */
bool back[4];        /* the mark is of an unmerge */
byte brought;        /* by member 1 to member 2: which binding; 0: nothing */
byte births = 1;
bool aborted[4];     /* by operation, in its taker's database */
bool under_way[4];   /* the operation's process may still commit it */
bool aged[4];
byte ended;

/* What a resolve may answer. */
bool was_holder[4];
bool nobody_held = true;

#define COMMITTED(m) (role[m] == GIVES && role[other[m]] == TAKES && mark_op[other[m]] == mark_op[m])
#define HOLDS(m) (lists[m] && !(COMMITTED(m) && gives[m]))
#define LEADS(m) ((row_member == m && row_op == bound_by[m]) || \
  (row_member != FREE && COMMITTED(row_member) && other[row_member] == m && gives[row_member] && \
   row_op == bound_by[row_member]))

#define CHECK                                                                                   \
  was_holder[1] = was_holder[1] || HOLDS(1); was_holder[2] = was_holder[2] || HOLDS(2);         \
  was_holder[3] = was_holder[3] || HOLDS(3);                                                    \
  nobody_held = nobody_held || (!HOLDS(1) && !HOLDS(2) && !HOLDS(3));                           \
  assert(!(HOLDS(1) && HOLDS(2)) && !(HOLDS(1) && HOLDS(3)) && !(HOLDS(2) && HOLDS(3)));        \
  assert(!HOLDS(1) || LEADS(1)); assert(!HOLDS(2) || LEADS(2)); assert(!HOLDS(3) || LEADS(3))

#ifdef NO_FENCE
#define NOT_ABORTED(o) true
#else
#define NOT_ABORTED(o) (!aborted[o])
#endif
#ifdef NO_AGE
#define YOUNG(o) true
#else
#define YOUNG(o) (!aged[o])
#endif
#ifdef NO_BLOCK
#define WRITABLE(m) (merged[m] == 0)
#else
#define WRITABLE(m) (role[m] != GIVES && merged[m] == 0)
#endif
#ifdef BLIND_PASS
#define ROW_IS(m, o) (row_member != FREE)
#else
#define ROW_IS(m, o) (row_member == m && row_op == o)
#endif

/* The process is done, or crashes. What a move's process knew is forgotten, so that states that differ in it are one. */
#define END ended++; goto end_over
#define CRASH atomic { END }
#define END_MOVE f = 0; t = 0; op = 0; bound = 0; gave = false; END
#define CRASH_MOVE atomic { END_MOVE }

inline pass_on() {
  if
  :: gave && ROW_IS(f, bound) -> row_member = t; row_op = op
  :: else
  fi;
  CHECK
}

inline finish_giver() {
  if
  :: role[f] == GIVES && mark_op[f] == op ->
     if :: gives[f] -> lists[f] = false; bound_by[f] = NONE; born[f] = 0 :: else fi;
     if :: back[f] -> brought = 0 :: else -> merged[f] = t fi;
     role[f] = NONE; mark_op[f] = NONE; other[f] = 0; gives[f] = false; back[f] = false
  :: else
  fi;
  CHECK
}

inline unmark(m) {
  if
  :: role[m] != NONE && mark_op[m] == op ->
     role[m] = NONE; mark_op[m] = NONE; other[m] = 0; gives[m] = false; back[m] = false
  :: else
  fi;
  CHECK
}

/* Ends a move that is committed, in three steps; ends the process. */
#ifdef FINISH_EARLY
#define FINISH                                                     \
  if :: atomic { finish_giver() } :: CRASH_MOVE fi;                     \
  if :: atomic { pass_on() } :: CRASH_MOVE fi;                          \
  if :: atomic { unmark(t); END_MOVE } :: CRASH_MOVE fi
#else
#ifdef RECEIPT_EARLY
#define FINISH                                                     \
  if :: atomic { pass_on() } :: CRASH_MOVE fi;                          \
  if :: atomic { unmark(t) } :: CRASH_MOVE fi;                          \
  if :: atomic { finish_giver(); END_MOVE } :: CRASH_MOVE fi
#else
#define FINISH                                                     \
  if :: atomic { pass_on() } :: CRASH_MOVE fi;                          \
  if :: atomic { finish_giver() } :: CRASH_MOVE fi;                     \
  if :: atomic { unmark(t); END_MOVE } :: CRASH_MOVE fi
#endif
#endif

/* A merge of f into t, or, with `is_back`, its unmerge. */
proctype Move(byte op; byte f; byte t; bool is_back) {
  byte bound;
  bool gave;

  if
  :: atomic {
       if
       :: role[f] == NONE && merged[f] == 0 && (is_back -> merged[t] == f : merged[t] == 0) ->
          role[f] = GIVES; mark_op[f] = op; other[f] = t; back[f] = is_back;
#ifdef NO_ORIGIN
          gives[f] = lists[f] && (!is_back || brought != 0);
#else
          gives[f] = lists[f] && (!is_back || (brought != 0 && born[f] == brought));
#endif
          gave = gives[f]; bound = bound_by[f];
          CHECK
       :: else -> under_way[op] = false; END_MOVE
       fi
     }
  :: atomic { under_way[op] = false; END_MOVE }
  fi;
  if
  :: atomic {
       under_way[op] = false;
       if
       :: NOT_ABORTED(op) && YOUNG(op) && role[t] == NONE && (is_back -> merged[t] == f : merged[t] == 0) ->
          role[t] = TAKES; mark_op[t] = op; other[t] = f;
          if :: is_back -> merged[t] = 0; assert(!gave || born[f] == brought)
             :: else -> if :: t == 2 -> brought = (gave -> born[f] : 0) :: else fi
          fi;
          if :: gave -> lists[t] = true; bound_by[t] = op; born[t] = born[f] :: else fi;
          CHECK
       :: else -> goto refused
       fi
     }
  :: atomic { under_way[op] = false; END_MOVE }
  fi;
  FINISH;
refused:
  if :: atomic { unmark(f); END_MOVE } :: CRASH_MOVE fi;
end_over:
  false
}

/* Whoever finds member m marked; 0: any. */
proctype Settle(byte m) {
  byte op, f, t, bound;
  bool gave;

  atomic {
    if :: m == 0 -> if :: m = 1 :: m = 2 fi :: else fi;
    if
    :: role[m] == NONE -> END_MOVE
    :: role[m] == GIVES -> f = m; t = other[m]; op = mark_op[m]; gave = gives[m]; bound = bound_by[m]
    :: role[m] == TAKES -> t = m; f = other[m]; op = mark_op[m]; goto taker
    fi
  }
  if
  :: atomic {
       if
       :: role[t] == TAKES && mark_op[t] == op -> goto finish
       :: else -> aborted[op] = true
       fi
     }
  :: CRASH_MOVE
  fi;
  if :: atomic { unmark(f); END_MOVE } :: CRASH_MOVE fi;
taker:
  if
  :: atomic {
       if
       :: role[f] == GIVES && mark_op[f] == op -> gave = gives[f]; bound = bound_by[f]; goto finish
       :: else
       fi
     }
  :: CRASH_MOVE
  fi;
  if :: atomic { unmark(t); END_MOVE } :: CRASH_MOVE fi;
finish:
  FINISH;
end_over:
  false
}

/* As in binding.pml; a row in the way is looked at once. */
proctype Bind(byte op; byte m) {
  byte seen_member, seen_op;

  if
  :: atomic { row_member == FREE -> row_member = m; row_op = op; CHECK; goto commit }
  :: atomic { row_member != FREE -> seen_member = row_member; seen_op = row_op }
  :: CRASH
  fi;
  if
  :: atomic {
       if
       :: lists[seen_member] -> END        /* taken; or given away, which a settler ends */
       :: else -> if :: seen_op < FIRST -> aborted[seen_op] = true :: else fi
       fi
     }
  :: CRASH
  fi;
  if
  :: atomic {
       if
       :: row_member == seen_member && row_op == seen_op -> row_member = m; row_op = op; CHECK
       :: else -> END
       fi
     }
  :: CRASH
  fi;
commit:
  if
  :: atomic {
       under_way[op] = false;
       if
       :: !aborted[op] && !aged[op] && WRITABLE(m) && !lists[m] ->
          births++; lists[m] = true; bound_by[m] = op; born[m] = births; CHECK
       :: else
       fi;
       END
     }
  :: atomic { under_way[op] = false; END }
  fi;
end_over:
  false
}

proctype Unbind(byte m) {
  byte op;

  atomic {
    if
    :: lists[m] && WRITABLE(m) -> op = bound_by[m]; lists[m] = false; bound_by[m] = NONE; born[m] = 0; CHECK
    :: else -> END
    fi
  }
  if
  :: atomic {
       if :: row_member == m && row_op == op -> row_member = FREE; row_op = NONE; CHECK :: else fi;
       END
     }
  :: CRASH
  fi;
end_over:
  false
}

#ifdef ONE_LOOK
#define STILL_GIVES(f, o) true
#else
#define STILL_GIVES(f, o) (role[f] == GIVES && mark_op[f] == o)
#endif
#ifdef NO_RECEIPT
#define HAS_TAKEN(t, o) false
#else
#define HAS_TAKEN(t, o) (role[t] == TAKES && mark_op[t] == o)
#endif

/* One round; whoever has to begin anew is not followed. */
proctype Resolve() {
  byte seen, seen_op, op, heir;
  bool given, listed;

  atomic {
    was_holder[1] = HOLDS(1); was_holder[2] = HOLDS(2); was_holder[3] = HOLDS(3);
    nobody_held = !HOLDS(1) && !HOLDS(2) && !HOLDS(3);
    if
    :: row_member == FREE -> assert(nobody_held); END
    :: else -> seen = row_member; seen_op = row_op
    fi
  }
  atomic {
    listed = lists[seen];
    if
    :: role[seen] != GIVES && listed -> assert(was_holder[seen]); END
    :: role[seen] != GIVES && !listed -> goto again
    :: role[seen] == GIVES -> op = mark_op[seen]; heir = other[seen]; given = gives[seen]
    fi
  }
  atomic {
    if
    :: HAS_TAKEN(heir, op) ->
       if
       :: listed && !given -> assert(was_holder[seen]); END
       :: lists[heir] -> assert(was_holder[heir]); END
       :: else -> goto again
       fi
    :: else
    fi
  }
  atomic {
    if
    :: STILL_GIVES(seen, op) && listed -> assert(was_holder[seen]); END
    :: STILL_GIVES(seen, op) && !listed -> skip
    :: else -> END
    fi
  }
again:
  atomic {
    if
    :: row_member == seen && row_op == seen_op -> assert(nobody_held)
    :: row_member == FREE -> assert(!HOLDS(1) && !HOLDS(2) && !HOLDS(3))
    :: else
    fi;
    END
  }
end_over:
  false
}

/* Of an operation that is over nobody asks any more. */
proctype Time() {
end:
  do
  :: under_way[1] && !aged[1] -> aged[1] = true
  :: under_way[2] && !aged[2] -> aged[2] = true
  :: atomic { under_way[1] && aborted[1] && aged[1] -> aborted[1] = false }
  :: atomic { under_way[2] && aborted[2] && aged[2] -> aborted[2] = false }
  od
}

/* When nobody else runs any more: settles what is left, as the sweeper does, and walks once over the lookup row. */
proctype End() {
  byte op, f, t, bound;
  bool gave;

  atomic {
    ended == PROCESSES ->
    f = 1;
    do
    :: f <= 3 ->
       if
       :: role[f] == GIVES ->
          op = mark_op[f]; t = other[f]; gave = gives[f]; bound = bound_by[f];
          if
          :: COMMITTED(f) -> pass_on(); finish_giver(); unmark(t)
          :: else -> unmark(f)
          fi
       :: else
       fi;
       f++
    :: else -> break
    od;
    f = 1;
    do
    :: f <= 3 -> op = mark_op[f]; unmark(f); f++
    :: else -> break
    od;
    if
    :: row_member != FREE -> if :: !lists[row_member] -> row_member = FREE :: else fi
    :: else
    fi;
    CHECK;
    assert(row_member == FREE || lists[row_member]);
    assert(!(merged[1] != 0 && merged[2] != 0));
    assert(merged[1] == 0 || !lists[1]);
    assert(merged[2] == 0 || !lists[2])
  }
}

init {
  atomic {
    lists[1] = true; bound_by[1] = FIRST; born[1] = 1;
    under_way[1] = true; under_way[2] = true; under_way[3] = true;
    run Move(1, 1, 2, false);
#ifdef CROSS
    run Move(2, 2, 1, false);
#else
    run Move(2, 2, 1, true);
#endif
#ifdef RESOLVE
    run Resolve();
#else
#ifdef REBIND
    run Bind(3, 2);
#else
    run Bind(3, 3);
#endif
#endif
#if defined(CROSS) || defined(REBIND) || defined(RESOLVE)
    run Settle(0);
#else
    run Settle(1); run Settle(2);
#endif
    run Unbind(2); run Time(); run End()
  }
}
