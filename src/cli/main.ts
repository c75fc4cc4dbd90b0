#!/usr/bin/env node
/** The command `trtpipe`, as package.json names it. */

import { cli } from "./cli.ts";
import { terminal } from "./terminal.ts";

process.exitCode = await cli(process.argv.slice(2), terminal());
