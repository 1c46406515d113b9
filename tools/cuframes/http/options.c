/* options.c - see options.h. */
#include "options.h"

#include <string.h>

#include "common/cli.h"

static int host_take(const char *name, http_options *options) {
  if (*name == '\0' || strlen(name) > 253 || name[strcspn(name, ":/[]@ ")] != '\0')
    return cli_usage("--host takes a name as in an address, without a port, not '%s'", name);
  if (options->host_count == HTTP_HOSTS_MAX)
    return cli_usage("--host can be given %d times", HTTP_HOSTS_MAX);
  options->hosts[options->host_count++] = name;
  return CLI_OK;
}

int http_option_take(int option, const char *value, http_options *options) {
  switch (option) {
    case HTTP_LISTEN: options->listen = value; return CLI_OK;
    case HTTP_CERTIFICATE: options->certificate = value; return CLI_OK;
    case HTTP_KEY: options->key = value; return CLI_OK;
    case HTTP_LOGIN: options->login = value; return CLI_OK;
    case HTTP_HOST: return host_take(value, options);
    default: options->open = true; return CLI_OK;
  }
}

int http_options_check(const http_options *options) {
  if (options->key && !options->certificate)
    return cli_usage("--key is of a --certificate, which is missing");
  if (options->open && options->login)
    return cli_usage("--open says that everybody may look, and --login who may: either of them");
  return CLI_OK;
}

const char *http_options_given(const http_options *options) {
  return options->listen           ? "--listen"
         : options->certificate    ? "--certificate"
         : options->key            ? "--key"
         : options->login          ? "--login"
         : options->host_count > 0 ? "--host"
         : options->open           ? "--open"
                                   : NULL;
}
