"""Settings: flags, environment, file, their precedence, help and the generated page."""

import pytest
from harness.server import ROOT, run_cli

USAGE = [
    ("serve", "--bogus"),
    ("serve", "--bogus=1"),
    ("serve", "surplus"),
    ("serve", "--listen"),
    ("serve", "--listen", "nonsense"),
    ("serve", "--listen", "127.0.0.1:65536"),
    ("serve", "--failure-threshold", "-1"),
    ("serve", "--failure-threshold", "2147483648"),
    ("serve", "--failure-threshold", "ten"),
    ("serve", "--failure-threshold", "10x"),
    ("serve", "--failure-threshold", ""),
    ("serve", "--hold-hours", "0"),
    ("serve", "--deliver-timeout-ms", "0"),
    ("serve", "--allow-cidr", "300.0.0.0/8"),
    ("serve", "--allow-cidr", "127.0.0.0/33"),
    ("serve", "--retry-schedule", "1,,2"),
    ("serve", "--retry-schedule", "0"),
    ("serve", "--tls-cert", "only-one.pem"),
    ("serve", "--config", "/nonexistent/hookswitch.ini"),
    ("dance",),
    ("company",),
    ("company", "dance"),
    ("company", "add"),
    ("credential", "revoke"),
]


@pytest.mark.parametrize("arguments", USAGE, ids=" ".join)
def test_usage_errors_exit_2_and_say_why(arguments, tmp_path):
    done = run_cli(*arguments, data=tmp_path / "data")
    assert done.returncode == 2, (done.stdout, done.stderr)
    assert done.stdout == "" and done.stderr.strip()


def test_no_command_at_all_is_a_usage_error():
    done = run_cli()
    assert done.returncode == 2 and "serve" in done.stderr


@pytest.mark.parametrize("variable, value", [
    ("HOOKSWITCH_FAILURE_THRESHOLD", "many"),
    ("HOOKSWITCH_FAILURE_THRESHOLD", "-3"),
    ("HOOKSWITCH_ALLOW_CIDR", "127.0.0.0/8,nonsense"),
])
def test_bad_environment_is_a_usage_error_that_names_it(tmp_path, variable, value):
    done = run_cli("serve", data=tmp_path / "data", env={variable: value})
    assert done.returncode == 2 and variable in done.stderr, done.stderr


@pytest.mark.parametrize("line", ["failure-threshold = many", "no-such-setting = 1", "no sense"])
def test_bad_file_is_a_usage_error_with_its_line(tmp_path, line):
    path = tmp_path / "hookswitch.ini"
    path.write_text("# a comment\n" + line + "\n")
    done = run_cli("serve", "--config", path, data=tmp_path / "data")
    assert done.returncode == 2, done.stderr
    assert "hookswitch.ini" in done.stderr and "2" in done.stderr, done.stderr


def threshold(server, receiver):
    """The failure threshold in force, as the API shows it."""
    company = server.start().add_company()
    return company.status(company.create_webhook(receiver.url()))["threshold"]


FILE, ENV, FLAG = "failure-threshold = 3\n", {"HOOKSWITCH_FAILURE_THRESHOLD": "4"}, "5"


@pytest.mark.parametrize("file, env, flag, wanted", [
    (None, None, None, 10),
    (FILE, None, None, 3),
    (FILE, ENV, None, 4),
    (FILE, ENV, FLAG, 5),
    (FILE, None, FLAG, 5),
    (None, ENV, FLAG, 5),
    (None, ENV, None, 4),
])
def test_precedence_flag_environment_file_default(make_server, receiver, tmp_path, file, env, flag,
                                                  wanted):
    args = []
    if flag:
        args += ["--failure-threshold", flag]
    if file:
        path = tmp_path / "hookswitch.ini"
        path.write_text(file)
        args += ["--config", str(path)]
    assert threshold(make_server(*args, env=env), receiver) == wanted


def test_lists_in_the_environment_are_split_by_comma(make_server, receiver):
    server = make_server(allow=(), env={"HOOKSWITCH_ALLOW_CIDR": "10.0.0.0/8,127.0.0.0/8"})
    company = server.start().add_company()
    company.create_webhook(receiver.url())
    company.create_webhook("https://10.1.2.3/")


def test_equals_sign_form_of_flags(make_server, receiver):
    assert threshold(make_server("--failure-threshold=7"), receiver) == 7


def test_largest_threshold_is_accepted(make_server, receiver):
    assert threshold(make_server("--failure-threshold", "2147483647"), receiver) == 2147483647


def test_help_shows_settings_with_ranges():
    done = run_cli("serve", "--help")
    assert done.returncode == 0 and done.stderr == ""
    for word in ("--failure-threshold", "2147483647", "--allow-cidr", "--deliver-timeout-ms",
                 "5000", "--data", "--public-url", "--couriers", "--ingest-rate-limit"):
        assert word in done.stdout, word


def test_general_help_lists_the_commands():
    done = run_cli("--help")
    assert done.returncode == 0
    for word in ("serve", "company", "credential", "settings"):
        assert word in done.stdout


def test_version():
    done = run_cli("--version")
    assert done.returncode == 0 and "hookswitch" in done.stdout.lower()


def test_the_settings_page_is_current():
    done = run_cli("settings", "--markdown")
    assert done.returncode == 0, done.stderr
    assert (ROOT / "docs" / "settings.md").read_text() == done.stdout, \
        "run: build/hookswitch settings --markdown > docs/settings.md"
