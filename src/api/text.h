/* api/text.h - which text of others may be shown: the rule of the messages, for what comes in packets, too. */
#ifndef CF_API_TEXT_H
#define CF_API_TEXT_H

#include "wire/text.h"

#endif
