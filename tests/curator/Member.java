import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.TimeUnit;
import java.util.stream.Collectors;

import org.apache.curator.framework.CuratorFramework;
import org.apache.curator.framework.CuratorFrameworkFactory;
import org.apache.curator.framework.recipes.locks.InterProcessMutex;
import org.apache.curator.retry.RetryForever;
import org.apache.zookeeper.data.Stat;

/**
 * A member of a mixed fleet, with Curator: the connect string and the session timeout in milliseconds are on the
 * command line. A line of the input is a number and what is to be done; a line of the output is the number and
 * `ok VALUE` or `error TYPE TEXT`. Under the number 0 it says something in between.
 */
public class Member {
    private final CuratorFramework client;
    private final Map<String, InterProcessMutex> held = new ConcurrentHashMap<>();
    /** Mutexes belong to threads: each path has one, which holds its mutex and gives it back. */
    private final Map<String, ExecutorService> threads = new ConcurrentHashMap<>();

    private Member(CuratorFramework client) {
        this.client = client;
    }

    public static void main(String[] arguments) throws Exception {
        CuratorFramework client = CuratorFrameworkFactory.builder()
                .connectString(arguments[0])
                .sessionTimeoutMs(Integer.parseInt(arguments[1]))
                .connectionTimeoutMs(30_000)
                .retryPolicy(new RetryForever(100))
                .build();
        client.start();
        if (!client.blockUntilConnected(60, TimeUnit.SECONDS)) {
            throw new IllegalStateException("not connected");
        }
        Member member = new Member(client);
        say("0", "ready");
        BufferedReader input = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String line = input.readLine(); line != null; line = input.readLine()) {
            String[] words = line.split(" ");
            member.threads.computeIfAbsent(words[2], path -> Executors.newSingleThreadExecutor())
                    .execute(() -> member.answer(words));
        }
        System.exit(0);
    }

    private static synchronized void say(String number, String what) {
        System.out.println(number + " " + what);
        System.out.flush();
    }

    private void answer(String[] words) {
        try {
            say(words[0], "ok " + obey(words));
        } catch (Throwable error) {
            say(words[0], "error " + error.getClass().getSimpleName() + " " + error.getMessage());
        }
    }

    private Object obey(String[] words) throws Exception {
        String path = words[2];
        InterProcessMutex mutex = held.computeIfAbsent(path, one -> new InterProcessMutex(client, one));
        switch (words[1]) {
            case "acquire":
                mutex.acquire();
                return true;
            case "try":
                return mutex.acquire(0, TimeUnit.MILLISECONDS);
            case "release":
                mutex.release();
                return true;
            // Who holds it and who waits, in the order that Curator sees.
            case "participants":
                return mutex.getParticipantNodes().stream()
                        .map(node -> node.substring(node.lastIndexOf('/') + 1))
                        .collect(Collectors.joining(","));
            case "count":
                return count(mutex, Integer.parseInt(words[3]));
            default:
                throw new IllegalArgumentException(String.join(" ", words));
        }
    }

    /** Counts up under the lock, by a read and a write that are not one, and tells each time. */
    private int count(InterProcessMutex mutex, int times) throws Exception {
        for (int n = 0; n < times; n++) {
            mutex.acquire();
            try {
                Stat stat = new Stat();
                byte[] data = client.getData().storingStatIn(stat).forPath("/count");
                int next = Integer.parseInt(new String(data, StandardCharsets.UTF_8)) + 1;
                byte[] written = Integer.toString(next).getBytes(StandardCharsets.UTF_8);
                client.setData().withVersion(stat.getVersion()).forPath("/count", written);
            } finally {
                mutex.release();
            }
            say("0", "tell " + n);
        }
        return times;
    }
}
