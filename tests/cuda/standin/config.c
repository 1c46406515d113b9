/* config.c - the stand-in's configuration: the environment, the devices it makes up and their attributes. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "internal.h"

static si_config config;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static uint64_t number(const char *name, uint64_t without) {
  const char *text = getenv(name);
  return text && *text ? strtoull(text, NULL, 0) : without;
}

static void text(const char *name, char *to, size_t size) {
  const char *value = getenv(name);
  snprintf(to, size, "%s", value ? value : "");
}

void si_uuid(int machine, cu_uuid *uuid) {
  static const unsigned char fixed[16] = { 0x57, 0xa2, 0xd1, 0x20, 0xc0, 0xda, 0x4f, 0x00,
                                           0x80, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00 };
  memcpy(uuid->bytes, fixed, sizeof fixed);
  uuid->bytes[15] = (unsigned char)machine;
}

int si_ordinal(const cu_uuid *uuid) {
  for (int i = 0; i < si_configuration()->devices; i++) {
    cu_uuid one;
    si_uuid(config.machine[i], &one);
    if (memcmp(&one, uuid, sizeof one) == 0)
      return i;
  }
  return -1;
}

/* "GPU-57a2d120-c0da-...": any unique beginning will do. Gives the number on the machine or -1. */
static int machine_of(const char *entry, int count) {
  if (strncmp(entry, "GPU-", 4) != 0) {
    char *end;
    errno = 0;
    long ordinal = strtol(entry, &end, 10);
    return end != entry && *end == '\0' && ordinal >= 0 && ordinal < count ? (int)ordinal : -1;
  }
  for (int machine = 0; machine < count; machine++) {
    cu_uuid uuid;
    char name[48];
    si_uuid(machine, &uuid);
    size_t length = (size_t)snprintf(name, sizeof name, "GPU-");
    for (int i = 0; i < 16; i++)
      length += (size_t)snprintf(name + length, sizeof name - length, "%s%02x",
                                 i == 4 || i == 6 || i == 8 || i == 10 ? "-" : "", uuid.bytes[i]);
    if (strncmp(name, entry, strlen(entry)) == 0)
      return machine;
  }
  return -1;
}

/* As the driver: the list ends where an entry is no device. */
static void choose_devices(int count) {
  const char *visible = getenv("CUDA_VISIBLE_DEVICES");
  char copy[512], *rest = NULL;
  if (!visible) {
    for (int i = 0; i < count; i++)
      config.machine[config.devices++] = i;
    return;
  }
  snprintf(copy, sizeof copy, "%s", visible);
  for (char *entry = strtok_r(copy, ",", &rest); entry && config.devices < SI_DEVICES;
       entry = strtok_r(NULL, ",", &rest)) {
    int machine = machine_of(entry, count);
    if (machine < 0)
      return;
    config.machine[config.devices++] = machine;
  }
}

static void choose_attributes(void) {
  static const struct {
    int attribute, value;
  } values[] = {
    { CU_DEVICE_ATTRIBUTE_TEXTURE_ALIGNMENT, 512 },
    { CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT, 8 },
    { CU_DEVICE_ATTRIBUTE_INTEGRATED, 0 },
    { CU_DEVICE_ATTRIBUTE_CAN_MAP_HOST_MEMORY, 1 },
    { CU_DEVICE_ATTRIBUTE_COMPUTE_MODE, 0 },
    { CU_DEVICE_ATTRIBUTE_PCI_BUS_ID, 1 },
    { CU_DEVICE_ATTRIBUTE_PCI_DEVICE_ID, 0 },
    { CU_DEVICE_ATTRIBUTE_ASYNC_ENGINE_COUNT, 2 },
    { CU_DEVICE_ATTRIBUTE_UNIFIED_ADDRESSING, 1 },
    { CU_DEVICE_ATTRIBUTE_PCI_DOMAIN_ID, 0 },
    { CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR, 9 },
    { CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR, 0 },
    { CU_DEVICE_ATTRIBUTE_CAN_USE_HOST_POINTER_FOR_REGISTERED_MEM, 1 },
    { CU_DEVICE_ATTRIBUTE_HOST_REGISTER_SUPPORTED, 1 },
    { CU_DEVICE_ATTRIBUTE_VIRTUAL_ADDRESS_MANAGEMENT_SUPPORTED, 1 },
    { CU_DEVICE_ATTRIBUTE_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR_SUPPORTED, 1 },
    { CU_DEVICE_ATTRIBUTE_READ_ONLY_HOST_REGISTER_SUPPORTED, 1 },
    { CU_DEVICE_ATTRIBUTE_MEMORY_POOLS_SUPPORTED, 1 },
    { CU_DEVICE_ATTRIBUTE_MEMPOOL_SUPPORTED_HANDLE_TYPES, CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR },
    { CU_DEVICE_ATTRIBUTE_CAN_USE_64_BIT_STREAM_MEM_OPS, 1 },
    { CU_DEVICE_ATTRIBUTE_IPC_EVENT_SUPPORTED, 1 },
    { CU_DEVICE_ATTRIBUTE_MPS_ENABLED, 0 },
  };
  size_t known = sizeof config.attribute / sizeof config.attribute[0];
  for (size_t i = 0; i < known; i++)
    config.attribute[i] = -1;
  for (size_t i = 0; i < sizeof values / sizeof values[0]; i++)
    config.attribute[values[i].attribute] = values[i].value;
  if (config.version < 11070)
    config.attribute[CU_DEVICE_ATTRIBUTE_CAN_USE_64_BIT_STREAM_MEM_OPS] = -1;
  if (config.version < 12000)
    config.attribute[CU_DEVICE_ATTRIBUTE_IPC_EVENT_SUPPORTED] = -1;
  if (config.version < 12050)
    config.attribute[CU_DEVICE_ATTRIBUTE_MPS_ENABLED] = -1;

  char wanted[256], *rest = NULL;
  text("CUDA_STANDIN_ATTRIBUTES", wanted, sizeof wanted);
  for (char *entry = strtok_r(wanted, ",", &rest); entry; entry = strtok_r(NULL, ",", &rest)) {
    unsigned attribute;
    int value;
    if (sscanf(entry, "%u=%d", &attribute, &value) == 2 && attribute < known)
      config.attribute[attribute] = value;
  }
}

static void read_environment(void) {
  uint64_t devices = number("CUDA_STANDIN_DEVICES", 1);
  choose_devices(devices > SI_DEVICES ? SI_DEVICES : (int)devices);
  config.memory = number("CUDA_STANDIN_MEMORY_MIB", 1024) << 20;
  config.peer = number("CUDA_STANDIN_PEER", 1) != 0;
  config.version = (int)number("CUDA_STANDIN_VERSION", 13000);
  config.seed = number("CUDA_STANDIN_SEED", 1);
  config.delay_us = number("CUDA_STANDIN_DELAY_US", 0);
  const char *without = getenv("CUDA_STANDIN_WITHOUT");
  snprintf(config.without, sizeof config.without, ",%s,", without ? without : "");
  text("CUDA_STANDIN_FAIL", config.fail, sizeof config.fail);
  text("CUDA_STANDIN_NAME", config.name, sizeof config.name);
  text("CUDA_STANDIN_HANG", config.hang, sizeof config.hang);
  text("CUDA_STANDIN_CRASH", config.crash, sizeof config.crash);
  text("CUDA_STANDIN_EXIT", config.end, sizeof config.end);
  text("CUDA_STANDIN_REPORT", config.report, sizeof config.report);
  choose_attributes();
}

const si_config *si_configuration(void) {
  pthread_once(&once, read_environment);
  return &config;
}
