/* test_replay_json.c - DynamoDB JSON: the fuzz corpus, and inputs made of it. */
#define REPLAY_NAME "json"
#include "fuzz/fuzz_json.c"
#include "fuzz/replay.c"
