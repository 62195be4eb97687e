/* train/page.h - the fixed parts of the report page. */
#ifndef WOK_TRAIN_PAGE_H
#define WOK_TRAIN_PAGE_H
extern const char wok__page_head[];  /* up to and with <title> */
extern const char wok__page_style[]; /* <style> ... </style> */
#endif
