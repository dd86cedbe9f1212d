"""Where the instructions of a measured path go: steps through one warm run of each and counts by function.

In one terminal, from the root of the tree:   ./fos gdb --image bench --port 4477 --print
In another:                                   gdb -batch -x bench/kernel/profile.py

The machine runs `bench-kernel`; a path is what lies between its two readings of the time stamp counter, found in the
disassembly by the instruction before the first and the call between them. Interrupts are held back while stepping (QEMU's default). FOS_TARGET names the
target folder if it is not `target`, FOS_PORT another port. A path's sum is a few instructions above the counted value:
the first reading of the pair is not subtracted here.
"""

import collections
import os
import re
import subprocess

import gdb

TARGET = os.environ.get("FOS_TARGET", "target")
PORT = os.environ.get("FOS_PORT", "4477")
BINARY = "x86_64-unknown-linux-gnu/guest"
KERNEL = f"{TARGET}/guest-kernel/{BINARY}/fos-kernel"
PROGRAM = f"{TARGET}/guest-user/{BINARY}/fos-bench-kernel"
# What `eax` holds on the way into the kernel (abi/src/calls.rs; a Linux call), and the path that it is a part of.
NATIVE = 0x8000_0000
PATHS = {NATIVE: "null_call", 39: "reflect", NATIVE + 1: "mailbox_send_64", NATIVE + 2: "ping_pong_one_core",
         NATIVE + 5: "send_name", NATIVE + 20: "map_page", NATIVE + 21: "unmap_page", NATIVE + 22: "protect_page",
         NATIVE + 34: "thread_switch (there and back)"}
WARM_RUNS = 60
STEPS_MAX = 10_000
FUNCTIONS_SHOWN = 16


def tool(*words):
    return subprocess.run(words, capture_output=True, text=True, check=True).stdout


def readings():
    """Addresses of all readings of the counter, and by path where the first timed run of it begins."""
    text = tool("objdump", "-d", "--no-show-raw-insn", PROGRAM)
    every, starts, before, start, faults = set(), {}, "", None, False
    for line in text.splitlines():
        if line.endswith(">:"):
            faults = "fault_cost" in line
        if not (parts := re.match(r"\s+([0-9a-f]+):\t(.*)$", line)):
            continue
        address, instruction = int(parts[1], 16), parts[2]
        if instruction.startswith("rdtsc"):
            every.add(address)
            start = address if before.startswith("xchg   %bx,%bx") else None
            if start and faults:
                starts["fault_upcall"] = start
        loaded = re.match(r"mov\s+\$0x([0-9a-f]+),%e\w+$", instruction)
        if start and loaded and int(loaded[1], 16) in PATHS:
            starts.setdefault(PATHS[int(loaded[1], 16)], start)
        before = instruction
    return every, starts


def counter():
    return int(gdb.parse_and_eval("$pc")) & (1 << 64) - 1


def step_through(every):
    """Addresses of all instructions from here to the next reading of the counter."""
    path = []
    while len(path) < STEPS_MAX:
        gdb.execute("stepi", to_string=True)
        if counter() in every:
            return path
        path.append(counter())
    raise gdb.GdbError(f"no second reading within {STEPS_MAX} instructions")


def functions(path):
    """By address: the function of ours whose source it is, inlined or not, and its file."""
    named = {}
    for binary, chosen in ((KERNEL, {a for a in path if a >> 47}), (PROGRAM, {a for a in path if not a >> 47})):
        if not chosen:
            continue
        text = tool("addr2line", "-afiC", "-e", binary, *map(hex, chosen))
        for block in re.split(r"^(?=0x)", text, flags=re.M)[1:]:
            lines = block.splitlines()
            frames = list(zip(lines[1::2], lines[2::2]))
            ours = [frame for frame in frames if "/rustc/" not in frame[1]] or frames
            name, place = ours[0]
            name = "::".join(re.sub(r"<.*>$", "", name).split("::")[-2:])
            file = re.search(r"(kernel|libfos|bench|abi)/.*?\.rs", place)
            named[int(lines[0], 16)] = f"{name} ({file[0]})" if file else name
    return named


def show(name, path):
    named = functions(path)
    count = collections.Counter(named[address] for address in path)
    print(f"\n{name}: {len(path)} instructions, {sum(1 for a in path if a >> 47)} of them in the kernel")
    for function, times in count.most_common(FUNCTIONS_SHOWN):
        print(f"{times:6} {function}")
    rest = sum(count.values()) - sum(times for _, times in count.most_common(FUNCTIONS_SHOWN))
    print(f"{rest:6} in {max(0, len(count) - FUNCTIONS_SHOWN)} others", flush=True)


def main():
    every, starts = readings()
    for setting in ("pagination off", "confirm off", "architecture i386:x86-64"):
        gdb.execute("set " + setting, to_string=True)
    gdb.execute(f"target remote 127.0.0.1:{PORT}", to_string=True)
    waiting = {}
    for name, address in starts.items():
        breakpoint = gdb.Breakpoint(f"*{address:#x}")
        breakpoint.ignore_count = WARM_RUNS
        waiting[address] = (name, breakpoint)
    while waiting:
        gdb.execute("continue", to_string=True)
        name, breakpoint = waiting.pop(counter())
        breakpoint.delete()
        for _, other in waiting.values():
            other.enabled = False
        show(name, step_through(every))
        for _, other in waiting.values():
            other.enabled = True
    gdb.execute("kill")


main()
