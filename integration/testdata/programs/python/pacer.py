import os
import select
import time


def pace():
    last, longest = time.monotonic_ns(), 0
    print("pacing", flush=True)
    while True:
        asked = select.select([0], [], [], 0.001)[0]
        now = time.monotonic_ns()
        longest = max(longest, now - last)
        last = now
        if longest < 0:
            print("time runs backwards", flush=True)  # BREAK
        if asked:
            word = os.read(0, 100).decode().strip()
            if not word:
                return
            print(word, longest, flush=True)
            longest = 0


if __name__ == "__main__":
    pace()
