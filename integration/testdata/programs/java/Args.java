import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.util.StringJoiner;

/** Prints its arguments, directory and environment as JSON. */
public class Args {
    public static void main(String[] args) {
        StringJoiner argv = new StringJoiner(",", "[", "]");
        for (String a : args) {
            argv.add(quote(a));
        }
        StringJoiner env = new StringJoiner(",", "{", "}");
        System.getenv().forEach((k, v) -> env.add(quote(k) + ":" + quote(v)));
        PrintStream out = new PrintStream(System.out, true, StandardCharsets.UTF_8);
        out.println("{\"argv\":" + argv + ",\"cwd\":" + quote(System.getProperty("user.dir")) + ",\"env\":" + env + "}");
    }

    private static String quote(String s) {
        StringBuilder b = new StringBuilder("\"");
        for (char c : s.toCharArray()) {
            if (c == '"' || c == '\\') {
                b.append('\\').append(c);
            } else if (c < 0x20) {
                b.append(String.format("\\u%04x", (int) c));
            } else {
                b.append(c);
            }
        }
        return b.append('"').toString();
    }
}
