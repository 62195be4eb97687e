/* The operators, by number. */
#include "graph/graph.h"

#define DECLARE(name) extern const wok__op wok__op_##name;
WOK__OP_LIST(DECLARE)

const wok__op *const wok__op_table[WOK__OP_COUNT] = {
#define ROW(name) [WOK__OP_##name] = &wok__op_##name,
    WOK__OP_LIST(ROW)};
