/* wok.h - everything. */
#ifndef WOK_H
#define WOK_H
#include <wok/bench.h>
#include <wok/corpus.h>
#include <wok/ctx.h>
#include <wok/data.h>
#include <wok/graph.h>
#include <wok/infer.h>
#include <wok/model.h>
#include <wok/status.h>
#include <wok/tensor.h>
#include <wok/text.h>
#include <wok/train.h>
#endif
