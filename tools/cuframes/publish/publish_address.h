/* publish_address.h - what can be said of an address before anybody tries it, and what its user probably meant. None of
 * this is asked where a file of that name is there. */
#ifndef CUFRAMES_CLI_PUBLISH_ADDRESS_H
#define CUFRAMES_CLI_PUBLISH_ADDRESS_H

/* Puts it in order, in place: no blanks around it, its protocol in small letters, as FFmpeg has them. */
void publish_address_tidy(char *input);

/* What is wrong with it, to follow the address in a message; NULL: nothing that can be seen. It says nothing of what
 * stands in it, which may be a secret. */
const char *publish_address_wrong(const char *address);

/* For one that FFmpeg could not open: the cause, if it looks like that; else NULL. */
const char *publish_address_hint(const char *input);

#endif
