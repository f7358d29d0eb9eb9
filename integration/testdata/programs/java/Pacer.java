import java.util.Scanner;
import java.util.concurrent.SynchronousQueue;
import java.util.concurrent.TimeUnit;

public class Pacer {
    public static void main(String[] args) throws InterruptedException {
        SynchronousQueue<String> asked = new SynchronousQueue<>();
        Thread reader = new Thread(() -> read(asked));
        reader.setDaemon(true);
        reader.start();
        long last = System.nanoTime(), longest = 0;
        System.out.println("pacing");
        while (true) {
            String word = asked.poll(1, TimeUnit.MILLISECONDS);
            long now = System.nanoTime();
            longest = Math.max(longest, now - last);
            last = now;
            if (longest < 0) {
                System.out.println("time runs backwards"); // BREAK
            }
            if (word != null) {
                System.out.println(word + " " + longest);
                longest = 0;
            }
        }
    }

    static void read(SynchronousQueue<String> asked) {
        try (Scanner in = new Scanner(System.in)) {
            while (in.hasNextLine()) {
                asked.put(in.nextLine());
            }
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
        System.exit(0);
    }
}
