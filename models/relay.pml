/*
 * The relay of changes: from a group's outbox into the stream, which lies in another database (src/store/mariadb/relay.h,
 * decision 0020).
 *
 * Three changes: A1 and A2 of one member, the second one made after the first, and B1 of another member, whose row has a
 * number between theirs and is committed whenever it likes. Two processes that may lead, each again and again, as nobody's
 * lease is believed: a term can begin at any moment. Each transaction is one atomic step, but for an append, which holds
 * the relay's row from its look at the term to its end. A process may crash or give up before any step; a commit may
 * be without an answer, and be done then or much later, or never. Whoever stands still is one whose next step is late.
 * The beginning of the stream may be forgotten at any moment.
 *
 * Checked at every step:
 *   ONCE   no change comes into the stream twice, also when it has been forgotten there
 *   ORDER  A2 does not come before A1
 *   KEPT   what is deleted from the outbox is, or was, in the stream
 * That positions only grow, and a reader sees whole appends, is one transaction's nature, and not of this model.
 *
 * Each of these removes one thing the protocol stands on; spin must find what goes wrong then:
 *   -DNO_TERM       an append does not compare the term
 *   -DNO_NOTE       who begins a term does not know what was copied last
 *   -DNO_LOCK       an append that is undecided does not keep the next term waiting
 *   -DKEEP_ROWS     what was read with a deletion that has no answer is appended
 *   -DREAD_FIRST    rows are read before those that were copied are deleted
 *   -DFORGET_NOTED  the stream forgets what may still be in the outbox
 *   -DNO_ORDER      rows are not taken in the order of their numbers
 */

#define A1 1
#define B1 2
#define A2 4
#define ALL 7
#define TERMS 4

byte written;       /* committed by writers */
byte outbox;        /* committed, and not deleted */
byte stream[3];
byte length, forgotten;
byte gone;          /* forgotten changes */
byte told;          /* were ever in the stream */
byte term;
byte noted;         /* copied last, and perhaps in the outbox still */
bool locked;        /* the relay's row */
bool undecided;     /* an append without an answer */
byte undecided_rows;
byte late_deletion; /* of a deletion without an answer */

inline tell(change) {
  assert(!(told & change));
  assert(change != A2 || (told & A1));
  told = told | change;
  stream[length] = change;
  length++
}

inline commit(rows_of) {
  if :: rows_of & A1 -> tell(A1) :: else fi;
  if :: rows_of & B1 -> tell(B1) :: else fi;
  if :: rows_of & A2 -> tell(A2) :: else fi;
  noted = rows_of
}

inline delete(rows_of) {
  assert(!(rows_of & ~told));
  outbox = outbox & ~(rows_of)
}

/* All of it, or as much as is taken at once. */
inline read() {
  if
  :: rows = outbox
#ifdef NO_ORDER
  :: outbox & A2 -> rows = A2
#endif
  :: outbox & A1 -> rows = A1
  :: !(outbox & A1) && (outbox & B1) -> rows = B1
  fi
}

active proctype Writers() {
  do
  :: atomic { !(written & A1) -> written = written | A1; outbox = outbox | A1 }
  :: atomic { (written & A1) && !(written & A2) -> written = written | A2; outbox = outbox | A2 }
  :: atomic { !(written & B1) -> written = written | B1; outbox = outbox | B1 }
  :: written == ALL -> break
  od
}

active proctype Forgets() {
end:
  do
#ifdef FORGET_NOTED
  :: atomic { length - forgotten > 1 -> gone = gone | stream[forgotten]; forgotten++ }
#else
  :: atomic { length - forgotten > 1 && !(stream[forgotten] & noted) -> gone = gone | stream[forgotten]; forgotten++ }
#endif
  od
}

/* The servers, with what was not answered. */
active proctype Servers() {
end:
  do
  :: atomic {
       undecided ->
       if
       :: commit(undecided_rows)
       :: true
       fi;
       undecided = false;
       undecided_rows = 0;
#ifndef NO_LOCK
       locked = false
#endif
     }
  :: atomic { late_deletion -> delete(late_deletion); late_deletion = 0 }
  od
}

active [2] proctype Relay() {
  byte my_term, copied, rows;

take:
  rows = 0;
  if
  :: atomic {
       !locked && term < TERMS ->
       term++;
       my_term = term;
#ifdef NO_NOTE
       copied = 0
#else
       copied = noted & ~gone /* their numbers are read in the stream */
#endif
     }
  :: goto done
  fi;

collect:
  if
  :: atomic {
#ifdef READ_FIRST
       read();
       delete(copied);
#else
       delete(copied);
       read();
#endif
       copied = 0
     }
  :: atomic {
       late_deletion = late_deletion | copied;
#ifdef KEEP_ROWS
       rows = outbox & ~copied;
       copied = 0
#endif
     }
#ifndef KEEP_ROWS
     ;
     goto collect
#endif
  :: goto take
  fi;

  if
  :: atomic {
       !locked ->
       if
#ifndef NO_TERM
       :: term != my_term -> goto take
#endif
       :: else -> locked = true
       fi
     }
  :: goto take
  fi;

  if
  :: atomic { commit(rows); copied = rows; rows = 0; locked = false } -> goto collect
  :: atomic {
       !undecided ->
       undecided = true;
       undecided_rows = rows;
#ifdef NO_LOCK
       locked = false
#endif
     }
     goto take
  :: atomic { locked = false } -> goto take
  fi;

done:
  skip
}
