#!/usr/bin/env python3
"""Writes assets/time-zones.txt from this machine's tz database: scripts/time-zones.py > assets/time-zones.txt.

A line is a POSIX rule, as it stands at the end of a TZif file, and the names of the zones that follow it. Zones whose
clocks follow no rule (Morocco's, which heed Ramadan) have their changes behind the rule: hours since the epoch, and the
offset from UTC in hours. Only what holds from 2026 on is there, since no cluster's time is earlier."""
import collections, datetime, os, struct

ROOT = "/usr/share/zoneinfo"
BEGIN = int(datetime.datetime(2026, 1, 1, tzinfo=datetime.timezone.utc).timestamp())
# The last moment that "fat" files list changes up to, though a rule tells them too.
FAT = 1 << 31


def read(path):
    """The changes from BEGIN on, and the rule, of a TZif file; None for any other file."""
    data = open(path, "rb").read()
    if data[:4] != b"TZif":
        return None
    size = lambda counts, width: counts[3] * (width + 1) + counts[4] * 6 + counts[5] + counts[2] * (width + 4) + counts[1] + counts[0]
    counts = struct.unpack(">6L", data[20:44])
    begin = 44 + size(counts, 4)
    counts = struct.unpack(">6L", data[begin + 20:begin + 44])
    begin += 44
    times = struct.unpack(f">{counts[3]}q", data[begin:begin + 8 * counts[3]])
    kinds = data[begin + 8 * counts[3]:begin + 9 * counts[3]]
    types = begin + 9 * counts[3]
    offset = lambda kind: struct.unpack(">l", data[types + 6 * kind:types + 6 * kind + 4])[0]
    rule = data[begin + size(counts, 8):].strip().decode()
    return [(time, offset(kind)) for time, kind in zip(times, kinds) if time >= BEGIN], rule


zones = collections.defaultdict(list)
for folder, _, files in os.walk(ROOT):
    for file in files:
        name = os.path.normpath(os.path.join(os.path.relpath(folder, ROOT), file))
        if name.split("/")[0] in ("posix", "right", "posixrules", "localtime"):
            continue
        found = read(os.path.join(folder, file))
        if found:
            changes, rule = found
            if "," not in rule and any(time > FAT for time, _ in changes):
                rule += "".join(f";{time // 3600}={offset // 3600}" for time, offset in changes)
            zones[rule].append(name)
for rule in sorted(zones):
    print(rule, *sorted(zones[rule]))
