public class Ticker {
    static int tick(int count) {
        int square = count * count;
        String label = "tick " + count; // BREAK
        System.out.println(label);
        return square;
    }

    public static void main(String[] args) throws InterruptedException {
        int ticks = args.length > 0 ? Integer.parseInt(args[0]) : 0;
        int code = args.length > 1 ? Integer.parseInt(args[1]) : 0;
        for (int count = 1; ticks == 0 || count <= ticks; count++) {
            tick(count);
            Thread.sleep(50);
        }
        System.exit(code);
    }
}
