public class Ticker {
    static void tick(int i) throws Exception {
        int twice = i * 2;
        System.out.println("tick " + i + " " + twice);
        Thread.sleep(20);
    }
    public static void main(String[] a) throws Exception {
        int n = Integer.parseInt(a[0]);
        System.out.println("first " + a.length);
        for (int i = 0; i < n; i++) tick(i);
        System.exit(Integer.parseInt(a[1]));
    }
}
