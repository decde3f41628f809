"""The verbs `console` and `serve-console`: their help, beside the verbs that `main` holds.

Holds: this is on the way of `--help`, so it imports nothing but the table of flags.
"""

from bailiwick_cli.flags.consoleflags import ConsoleFlags, ServeConsoleFlags


def console(options: ConsoleFlags) -> int:
    """Show approval requests in a browser, and review them there.

    Serves a page on this machine, to one browser, until you end it with Ctrl-C. It also shows who may do what, and with
    --records what was decided. What you do on it you do as the user of your kubeconfig. Needs the extra `console` of
    the package.

    Examples:
      kubectl bailiwick console -n crm
      kubectl bailiwick console -A --no-browser
      kubectl bailiwick console -n crm --records logs/
    """
    from bailiwick_cli.commands import console  # noqa: PLC0415 - nobody waits for it who only wants help

    return console.run(options)


def serve_console(options: ServeConsoleFlags) -> int:
    r"""Serve the console to many people, who log in by OpenID Connect. For a pod: the chart runs it.

    It has no rights of its own. What a person does is asked of the API server with the id token of that person, which
    the API server has to accept. --namespace is the one that people see first. Needs the extra `console` of the
    package. Ends with SIGTERM, and then everybody has to log in again.

    Examples:
      kubectl bailiwick serve-console --public-url https://bailiwick.example.com --issuer https://login.example.com \
          --client-id bailiwick --tls-certificate-file tls.crt --tls-key-file tls.key
    """
    from bailiwick_cli.commands import serve_console  # noqa: PLC0415 - nobody waits for it who only wants help

    return serve_console.run(options)
