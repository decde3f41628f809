"""nginx's auth_request, by the file that ships, where it would do something else by default."""

from pathlib import Path

from support.proxies.kinds import BY_HTTP
from support.proxies.raw import request, send
from support.proxies.scene import Scene
from support.proxies.servers import Server, faulty

ALLOW = "HTTP/1.1 200 OK\r\nX-Bailiwick-Decision: eval_x\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


def test_replicas_that_were_slow_once_are_asked_again_by_the_next_call(
    scene: Scene, upstream: Server, tmp_path: Path
) -> None:
    asked = request("GET", "/customers/42", scene.bearer())
    with faulty(*scene.serving) as one, faulty(*scene.serving) as two:
        # What ships names one address, which stands for one server; a name of several addresses stands for several.
        lines = [f"server 127.0.0.1:{point.port} max_fails=0;" for point in (one, two)]
        both = {lines[0]: "\n    ".join(lines)}
        one.fault = two.fault = ALLOW
        with BY_HTTP["nginx"](scene, tmp_path, upstream.port, one.port, both) as proxy:
            one.delay = two.delay = 2.0
            for _ in range(2):
                answer = send(proxy.port, asked)
                assert (answer.status, answer.header("content-type")) == (503, "application/problem+json")
            assert upstream.asked == []
            one.delay = two.delay = 0.0
            for _ in range(2):
                assert send(proxy.port, asked).status == 200
    assert len(upstream.asked) == 2
