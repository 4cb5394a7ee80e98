/* view_deliveries.h: the delivery log as text. */
#ifndef CLI_VIEW_DELIVERIES_H
#define CLI_VIEW_DELIVERIES_H

#include "cli/view.h"

/* {"deliveries":[...],"next":...}: a table, and how to see more. */
view_fn view_delivery_list;
/* {"id":...,"attempt_log":[...]}: every attempt with its waterfall. */
view_fn view_delivery;

#endif
