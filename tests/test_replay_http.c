/* test_replay_http.c - the server's HTTP reader: the fuzz corpus, and inputs made
 * of it. */
#define REPLAY_NAME "http"
#include "fuzz/fuzz_http.c"
#include "fuzz/replay.c"
