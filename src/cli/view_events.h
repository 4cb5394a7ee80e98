/* view_events.h: events and their names as text. */
#ifndef CLI_VIEW_EVENTS_H
#define CLI_VIEW_EVENTS_H

#include "cli/view.h"

/* {"event_types":[...]}: a table. */
view_fn view_event_types;
/* {"id":...}: an event, what became of it, and view->data as it was sent. */
view_fn view_event;
/* {"events":[{"id":...}]}: what was accepted. */
view_fn view_event_posted;

#endif
