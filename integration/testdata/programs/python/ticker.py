import sys
import time


def tick(count):
    square = count * count
    label = f"tick {count}"  # BREAK
    print(label, flush=True)
    return square


def main():
    ticks = int(sys.argv[1]) if len(sys.argv) > 1 else 0
    code = int(sys.argv[2]) if len(sys.argv) > 2 else 0
    count = 0
    while ticks == 0 or count < ticks:
        count += 1
        tick(count)
        time.sleep(0.05)
    sys.exit(code)


if __name__ == "__main__":
    main()
