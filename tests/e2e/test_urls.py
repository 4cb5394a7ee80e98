"""The rules for a webhook's URL, at registration."""

import pytest
from harness.client import assert_refusal

REFUSED = [
    "http://example.com/hook",
    "HTTP://example.com/hook",
    "ftp://example.com/",
    "example.com/hook",
    "//example.com/hook",
    "https:example.com",
    "https:/example.com/",
    "https://",
    "https:///hook",
    "https://?x=1",
    "https://user@example.com/",
    "https://user:secret@example.com/",
    "https://:@example.com/",
    "https://example.com:0/",
    "https://example.com:70000/",
    "https://example.com:65536/",
    "https://example.com:-1/",
    "https://example.com:44a/",
    "https://exa mple.com/",
    "https://example.com/a b",
    "https://example.com/\n",
    "https://example.com/\r\nX: y",
    "https://example.com/\t",
    "https://example.com/\u0000x",
    "https://example.com/\u007f",
    "https://example.com/é",
    "https://exämple.com/",
    "https://example.com\\@evil.com/",
    "https://-example-.com/",
    "https://exa$mple.com/",
    "https://example..com/",
    "https://" + "a" * 64 + ".com/",
    "https://" + "a." * 130 + "com/",
    "https://[::1/",
    "https://[nonsense]/",
    "https://[fe80::1%25eth0]/",
    " https://example.com/",
    "https://example.com/" + "a" * 2048,
    "javascript:alert(1)",
]

GUARDED = [
    "https://localhost/",
    "https://LOCALHOST/",
    "https://localhost./",
    "https://localhost:8443/hook",
    "https://127.0.0.1/",
    "https://127.0.0.1./",
    "https://127.1/",
    "https://2130706433/",
    "https://0x7f.1/",
    "https://0x7f000001/",
    "https://0177.0.0.1/",
    "https://017700000001/",
    "https://0/",
    "https://0.0.0.0/",
    "https://10.0.0.1/",
    "https://100.64.0.1/",
    "https://169.254.169.254/latest/meta-data/",
    "https://172.16.0.1/",
    "https://172.31.255.255/",
    "https://192.0.0.1/",
    "https://192.0.2.1/",
    "https://192.88.99.1/",
    "https://192.168.1.1/",
    "https://198.18.0.1/",
    "https://198.51.100.1/",
    "https://203.0.113.1/",
    "https://224.0.0.1/",
    "https://240.0.0.1/",
    "https://255.255.255.255/",
    "https://[::]/",
    "https://[::1]/",
    "https://[0:0:0:0:0:0:0:1]/",
    "https://[::ffff:10.0.0.1]/",
    "https://[::ffff:7f00:1]/",
    "https://[64:ff9b::10.0.0.1]/",
    "https://[2002:a00:1::]/",
    "https://[2001::1]/",
    "https://[2001:db8::1]/",
    "https://[100::1]/",
    "https://[fc00::1]/",
    "https://[fd00:ec2::254]/",
    "https://[fe80::1]/",
    "https://[fec0::1]/",
    "https://[ff02::1]/",
    "https://[3fff::1]/",
    "https://[5f00::1]/",
]

KEPT = [
    "https://example.com",
    "https://example.com/",
    "https://example.com:443/hook",
    "https://example.com:65535/",
    "https://example.com:1/",
    "https://EXAMPLE.com/Hook",
    "https://example.com/a/../b/./c//d",
    "https://example.com/hook?token=a%20b&x=%zz&y==+",
    "https://example.com?token=1",
    "https://example.com/%C3%A9/%2f%2F",
    "https://example.com/a;b,c:d@e!$&'()*+=~",
    "https://sub-domain.example.co.uk/x",
    "https://my_service.example.com/",
    "https://xn--exmple-cua.com/",
    "https://8.8.8.8/",
    "https://[2606:4700:4700::1111]/x",
    "https://172.32.0.1/",
    "https://100.128.0.1/",
    "https://example.com/" + "a" * (2048 - len("https://example.com/")),
]


@pytest.fixture(scope="module")
def strict(tmp_path_factory, ca):
    """A server whose egress guard is shut."""
    from harness.server import Server
    server = Server(tmp_path_factory.mktemp("strict") / "data", ca.ca_file, allow=(),
                    args=("--api-rate-limit", "0", "--max-webhooks", "100000")).start()
    yield server.add_company()
    assert server.stop() == 0, server.tail()


@pytest.mark.parametrize("url", REFUSED, ids=lambda url: ascii(url)[:60])
def test_refused(strict, url):
    assert_refusal(strict.post("/v1/webhooks", json={"url": url}), 400)


@pytest.mark.parametrize("url", GUARDED, ids=lambda url: url[:60])
def test_refused_by_the_egress_guard(strict, url):
    assert_refusal(strict.post("/v1/webhooks", json={"url": url}), 400)


@pytest.mark.parametrize("url", KEPT, ids=lambda url: url[:60])
def test_kept_byte_for_byte(strict, url):
    made = strict.create_webhook(url)
    assert made["url"] == url == strict.webhook(made)["url"]


@pytest.mark.parametrize("url", ["http://example.com/", "https://10.0.0.1/", "https://[::1]/"])
def test_an_update_obeys_the_same_rules(strict, url):
    made = strict.create_webhook("https://example.com/")
    answer = strict.put(f"/v1/webhooks/{made['webhook_id']}", json={"url": url})
    assert_refusal(answer, 400)
    assert strict.webhook(made) == made


@pytest.mark.parametrize("url, word", [
    ("http://example.com/", "https"),
    ("https://user@example.com/", "user"),
    ("https://example.com:70000/", "port"),
    ("https://localhost/", "localhost"),
    ("https://example.com/" + "a" * 2048, "2048"),
])
def test_the_sentence_says_what_is_wrong(strict, url, word):
    answer = strict.post("/v1/webhooks", json={"url": url})
    assert_refusal(answer, 400)
    assert word in answer.json()["troubleshoot"].replace(",", "").lower()


@pytest.mark.parametrize("url", ["https://127.0.0.1:8443/", "https://2130706433/",
                                 "https://0x7f.1/", "https://localhost/x",
                                 "https://[::ffff:127.0.0.1]/"])
def test_allow_cidr_opens_the_guard_in_every_notation(company, url):
    assert company.create_webhook(url)["url"] == url


@pytest.mark.parametrize("url", ["https://10.0.0.1/", "https://169.254.169.254/"])
def test_allow_cidr_opens_nothing_else(company, url):
    assert_refusal(company.post("/v1/webhooks", json={"url": url}), 400)
