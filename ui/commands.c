/*
 * commands.c - all tables of commands with typed arguments
 */
#include "ui/commands-int.h"

const struct command *const run_commands[] = {
    basic_commands, query_commands, accel_commands, cpu_commands, memory_commands, qom_commands, char_commands, block_commands, node_commands, job_commands, snapshot_commands,
    input_commands, vnc_commands, balloon_commands, net_commands, bus_commands, device_commands, object_commands, schema_commands, NULL
};
