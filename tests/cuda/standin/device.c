/* device.c - the stand-in's devices: names, UUIDs, attributes, who reaches whom. */
#include <stdio.h>

#include "internal.h"

static bool is_device(cu_device device) {
  return device >= 0 && device < si_configuration()->devices;
}

cu_result cuDeviceGetCount(int *count) {
  SI_ENTER(cuDeviceGetCount, SI_INIT);
  if (!count)
    return CUDA_ERROR_INVALID_VALUE;
  *count = si_configuration()->devices;
  return CUDA_SUCCESS;
}

cu_result cuDeviceGet(cu_device *device, int ordinal) {
  SI_ENTER(cuDeviceGet, SI_INIT);
  if (!device)
    return CUDA_ERROR_INVALID_VALUE;
  if (!is_device(ordinal))
    return CUDA_ERROR_INVALID_DEVICE;
  *device = ordinal;
  return CUDA_SUCCESS;
}

cu_result cuDeviceGetName(char *name, int size, cu_device device) {
  SI_ENTER(cuDeviceGetName, SI_INIT);
  if (!name || size <= 0)
    return CUDA_ERROR_INVALID_VALUE;
  if (!is_device(device))
    return CUDA_ERROR_INVALID_DEVICE;
  const si_config *config = si_configuration();
  if (config->name[0])
    snprintf(name, (size_t)size, "%s", config->name);
  else
    snprintf(name, (size_t)size, "CUDA stand-in %d", config->machine[device]);
  return CUDA_SUCCESS;
}

cu_result cuDeviceGetUuid_v2(cu_uuid *uuid, cu_device device) {
  SI_ENTER(cuDeviceGetUuid, SI_INIT);
  if (!uuid)
    return CUDA_ERROR_INVALID_VALUE;
  if (!is_device(device))
    return CUDA_ERROR_INVALID_DEVICE;
  si_uuid(si_configuration()->machine[device], uuid);
  return CUDA_SUCCESS;
}

cu_result cuDeviceGetAttribute(int *value, cu_device_attribute attribute, cu_device device) {
  SI_ENTER(cuDeviceGetAttribute, SI_INIT);
  const si_config *config = si_configuration();
  if (!is_device(device))
    return CUDA_ERROR_INVALID_DEVICE;
  if (!value || attribute >= sizeof config->attribute / sizeof config->attribute[0] || config->attribute[attribute] < 0)
    return CUDA_ERROR_INVALID_VALUE;
  *value = attribute == CU_DEVICE_ATTRIBUTE_PCI_BUS_ID ? config->machine[device] + 1 : config->attribute[attribute];
  return CUDA_SUCCESS;
}

cu_result cuDeviceTotalMem_v2(size_t *bytes, cu_device device) {
  SI_ENTER(cuDeviceTotalMem, SI_INIT);
  if (!bytes)
    return CUDA_ERROR_INVALID_VALUE;
  if (!is_device(device))
    return CUDA_ERROR_INVALID_DEVICE;
  *bytes = si_configuration()->memory;
  return CUDA_SUCCESS;
}

cu_result cuDeviceCanAccessPeer(int *can, cu_device device, cu_device peer) {
  SI_ENTER(cuDeviceCanAccessPeer, SI_INIT);
  if (!can)
    return CUDA_ERROR_INVALID_VALUE;
  if (!is_device(device) || !is_device(peer))
    return CUDA_ERROR_INVALID_DEVICE;
  *can = device != peer && si_configuration()->peer;
  return CUDA_SUCCESS;
}
