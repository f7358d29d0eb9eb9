def main():
    low, high, word = 1, 2, "loop"
    while True:
        low = high - 1  # BREAK
        high = low + len(word) - 3


main()
