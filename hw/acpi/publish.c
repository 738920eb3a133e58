/*
 * publish.c - tables for the firmware: fw_cfg files that it places itself
 */
#include <stdlib.h>
#include "hw/acpi/acpi.h"
#include "hw/misc/fw_cfg.h"

static const char tables_file[] = "etc/acpi/tables";

/* Firmware may have moved the configuration window since: MCFG follows. */
static void refresh_acpi(struct machine *m)
{
    struct acpi_tables *t = acpi_build(m);
    size_t len;

    if (fw_cfg_file(m->fw_cfg, tables_file, &len) && len == t->len)
        (void)fw_cfg_add_file(m->fw_cfg, tables_file, t->tables, t->len);
    acpi_free(t);
}

static int publish_acpi(struct machine *m)
{
    struct acpi_tables *t = acpi_build(m);
    size_t len;
    uint8_t *script = acpi_loader_script(t, &len);
    int ret = fw_cfg_add_file(m->fw_cfg, tables_file, t->tables, t->len);

    if (ret >= 0)
        ret = fw_cfg_add_file(m->fw_cfg, "etc/acpi/rsdp", t->rsdp, sizeof t->rsdp);
    if (ret >= 0)
        ret = fw_cfg_add_file(m->fw_cfg, "etc/table-loader", script, len);
    fw_cfg_on_select(m->fw_cfg, tables_file, refresh_acpi);
    free(script);
    acpi_free(t);
    return ret;
}

static int publish_smbios(struct machine *m)
{
    struct smbios *s = smbios_build(m);
    int ret = fw_cfg_add_file(m->fw_cfg, "etc/smbios/smbios-tables", s->tables, s->len);

    if (ret >= 0)
        ret = fw_cfg_add_file(m->fw_cfg, "etc/smbios/smbios-anchor", s->anchor,
                              sizeof s->anchor);
    smbios_free(s);
    return ret;
}

int acpi_publish(struct machine *m, struct err *e)
{
    int ret = m->cfg.no_acpi ? 0 : publish_acpi(m);

    if (ret >= 0)
        ret = publish_smbios(m);
    return ret < 0 ? err_set(e, ret, "fw_cfg: no room for the firmware tables") : 0;
}
