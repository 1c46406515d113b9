/* c11.pml - stores and loads of C11's memory model, for models that include it: one writer, who stores, and readers.
 *
 * A store does not replace the one before it: each location keeps its history, and a load may give any store that is
 * not older than what its thread already knows of. Knowledge (a view: how far along each location is known) travels as
 * C11 lets it: with a release store, or a store after a release fence; to an acquire load, or a relaxed one that an
 * acquire fence follows. So a relaxed load may be as old as the model lets it, in any combination: no order of the
 * processor, compiler or cache is assumed. Values out of thin air need a reader that stores; these do not.
 *
 * LOCATIONS, and STORES of one location with number 0, what it began with, are the model's. Writers need a byte l;
 * readers need l, n, and the arrays known[LOCATIONS] and heard[LOCATIONS], which is known after an acquire fence.
 */
#define AT(location, number) ((location) * STORES + (number))
#define VIEW(location, number, l) (AT(location, number) * LOCATIONS + (l))

byte value[LOCATIONS * STORES];
byte carried[LOCATIONS * STORES * LOCATIONS]; /* the view that each store hands over */
byte count[LOCATIONS];                        /* stores so far: the writer knows them all */
byte fenced[LOCATIONS];                       /* what it knew at its last release fence */

inline store(location, v, release) {
  d_step {
    count[location]++;
    value[AT(location, count[location])] = v;
    l = 0;
    do
    :: l < LOCATIONS ->
      carried[VIEW(location, count[location], l)] = (release -> count[l] : fenced[l]);
      l++
    :: else -> break
    od;
    carried[VIEW(location, count[location], location)] = count[location];
    l = 0
  }
}

/* Any store of the location that is not older than what the reader knows. */
inline load(location, acquire, v) {
  atomic {
    l = known[location];
    do
    :: l < count[location] -> l++
    :: break
    od;
    v = value[AT(location, l)];
    n = l;
    l = 0;
    do
    :: l < LOCATIONS ->
      if
      :: carried[VIEW(location, n, l)] > heard[l] -> heard[l] = carried[VIEW(location, n, l)]
      :: else
      fi;
      if
      :: acquire && carried[VIEW(location, n, l)] > known[l] -> known[l] = carried[VIEW(location, n, l)]
      :: else
      fi;
      l++
    :: else -> break
    od;
    known[location] = (n > known[location] -> n : known[location]);
    l = 0;
    n = 0
  }
}
