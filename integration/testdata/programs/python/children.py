import multiprocessing
import sys


def child(number):
    doubled = number * 2
    print(f"child {number} {doubled}", flush=True)  # BREAK
    sys.exit(0)


if __name__ == "__main__":
    multiprocessing.set_start_method("spawn")
    children = [multiprocessing.Process(target=child, args=(n,)) for n in (1, 2)]
    for c in children:
        c.start()
    for c in children:
        c.join()
    print("children done", flush=True)
