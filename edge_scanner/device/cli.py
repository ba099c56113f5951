"""PROGRAM edge-scanner: names, options and help; each command's work stands in the file it imports when called.

Imports are inside the commands so that `edge-scanner run` on a box loads only what it runs, and so that `--help` is
quick. What goes where: results to stdout, errors as one line to stderr, exit codes as in core/errors.py.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Annotated, Literal

import typer

from edge_scanner import program, terminal
from edge_scanner.command_line import Lang, application, language
from edge_scanner.device.log_cli import DEFAULT_CONFIG, Config, Json, database, log
from edge_scanner.device.setup_cli import PIN, setup

app = application(
    "A venue's edge box for contact tracing.\n\nExample: `edge-scanner run --config scanner.toml`",
)
app.add_typer(log, name="log")
app.command()(setup)


def main() -> None:
    """Run the command; an error of ours becomes one line and its exit code, and so does an output that is full.

    What the rooms log goes to stderr, redacted, and only from warnings on; the daemon and the kiosk say more.
    """
    from edge_scanner.device.system import journal

    journal.set_up(level=logging.WARNING)
    program.run("edge-scanner", app)


@app.command()
def run(
    config: Config = DEFAULT_CONFIG,
    simulate: Annotated[
        int | None, typer.Option(help="Simulate a crowd of about this many phones instead of using the radio.", min=1)
    ] = None,
    speed: Annotated[float, typer.Option(help="How fast simulated time runs.", min=0.1, max=1000)] = 1.0,
    daily: Annotated[
        bool, typer.Option("--daily", help="Simulate a bus station's day: that many phones at its busiest hour.")
    ] = False,
) -> None:
    """Listen, log, count and publish until SIGTERM.

    Example: `edge-scanner run --config config/scanner.toml --simulate 80 --speed 10`
    """
    from edge_scanner.device import settings
    from edge_scanner.device.daemon import daemon

    crowd = daemon.Simulation(phones=simulate, speed=speed, daily=daily) if simulate else None
    raise typer.Exit(daemon.main(settings.load(config), crowd))


@app.command()
def check_config(
    file: Annotated[Path, typer.Argument(metavar="FILE")] = DEFAULT_CONFIG,
) -> None:
    """Check a settings file and what the operator's page overrides, and list every mistake with its line number.

    Example: `edge-scanner check-config scanner.toml`
    """
    from edge_scanner.device import operator_settings

    operator_settings.load(file)
    terminal.say(f"{file}: good")


@app.command()
def kiosk(
    config: Config = DEFAULT_CONFIG,
    host: Annotated[str | None, typer.Option(help="Serve on this address instead of the settings'.")] = None,
    port: Annotated[
        int | None, typer.Option(help="Serve on this port instead of the settings'.", min=1, max=65535)
    ] = None,
) -> None:
    """Serve the venue's page from the daemon's snapshot, as a separate process under its own user.

    Example: `edge-scanner kiosk --config /etc/edge-scanner/scanner.toml --port 8080`
    """
    from edge_scanner.device.commands.kiosk import run_kiosk

    run_kiosk(config, host=host, port=port)


@app.command()
def page_certificate(config: Config = DEFAULT_CONFIG, as_json: Json = False) -> None:
    """Show the fingerprint of the page's certificate, to compare with what a browser shows.

    Example: `edge-scanner page-certificate`
    """
    from edge_scanner.device.commands.kiosk import run_page_certificate

    run_page_certificate(config, as_json=as_json)


@app.command()
def ops_pin(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Where the hash is written, mode 600.")],
    pin: Annotated[str, PIN.option("--pin-file", "A file with the PIN.")],
) -> None:
    """Set the PIN of the operator's page; only its hash is kept.

    Example: `edge-scanner ops-pin /etc/edge-scanner/ops-pin`
    """
    from edge_scanner.device.commands.ops_pin import run_ops_pin

    run_ops_pin(file, pin)


@app.command()
def replay(
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="Capture files; - reads standard input.")],
    protocols: Annotated[
        str, typer.Option(help="Recognise only these protocols, comma-separated; all by default.")
    ] = "",
    utc_offset: Annotated[float, typer.Option(help="Seconds by which the captures' clock is ahead of UTC.")] = 0.0,
    grace: Annotated[
        float | None,
        typer.Option(help="Longest silence of a device that is still present, in seconds; measured if not given."),
    ] = None,
    as_json: Json = False,
    state_dir: Annotated[
        Path | None, typer.Option(help="Also write the log there, sealed to the recipients of --config.")
    ] = None,
    config: Config = DEFAULT_CONFIG,
) -> None:
    """Run captures through the daemon's own functions and report what was heard.

    Example: `edge-scanner replay capture.btsnoop --json`
    """
    if state_dir is None:
        from edge_scanner.device.commands.replay import run_replay

        run_replay(files, protocols=protocols, utc_offset_s=utc_offset, grace_s=grace, as_json=as_json)
        return
    from edge_scanner.device.commands.replay_log import run_sealed_replay

    run_sealed_replay(
        files, config, state_dir, protocols=protocols, utc_offset_s=utc_offset, grace_s=grace, as_json=as_json
    )


@app.command()
def privacy(
    config: Config = DEFAULT_CONFIG,
    notice: Annotated[
        Path | None,
        typer.Option(help="Write the printable notice for the wall (A5, Vietnamese and English).", metavar="FILE"),
    ] = None,
    page: Annotated[
        Path | None,
        typer.Option(help="Write the web page behind the notice's QR code, which has the numbers.", metavar="FILE"),
    ] = None,
    as_json: Json = False,
) -> None:
    """Show what this site releases, what a stay costs in privacy, and how accurate the figures are.

    Example: `edge-scanner privacy --config scanner.toml --notice notice.html`
    """
    from edge_scanner.device import operator_settings
    from edge_scanner.device.commands.privacy import run_privacy
    from edge_scanner.device.commands.statement import PrivacySettings

    chosen = operator_settings.load(config)
    run_privacy(
        PrivacySettings(
            protocols=chosen.radio.protocols,
            budget=chosen.counts.budget,
            grace_s=chosen.radio.grace_s,
            retention_days=chosen.log.retention_days if chosen.log.kept else 0,
            name_vi=chosen.device.name_vi,
            name_en=chosen.device.name_en,
            notice_url=chosen.kiosk.notice_url,
            contact=chosen.device.contact,
            reads_iphones=chosen.radio.read_iphones,
        ),
        as_json=as_json,
        notice_file=notice,
        page_file=page,
    )


@app.command()
def calibrate(
    people: Annotated[
        int | None,
        typer.Option(help="People in the venue during the last hour, counted by hand; 0 if it was empty.", min=0),
    ] = None,
    forget: Annotated[bool, typer.Option("--forget", help="Forget these counts and what was learnt at night.")] = False,
    config: Config = DEFAULT_CONFIG,
    as_json: Json = False,
) -> None:
    """Learn how many people one device stands for here, from counts by hand in an empty and in a full venue.

    Example: `edge-scanner calibrate --people 45`
    """
    from edge_scanner.device.commands.calibrate import run_on_site

    run_on_site(config, people, forget=forget, as_json=as_json)


@app.command()
def adoption(
    config: Config = DEFAULT_CONFIG,
    days: Annotated[int, typer.Option(help="How many days back.", min=1, max=14)] = 7,
    as_json: Json = False,
) -> None:
    """Show the share of nearby devices that run Bluezone, from released counts, with its uncertainty.

    Example: `edge-scanner adoption --days 7`
    """
    from edge_scanner.device.commands.adoption import run_adoption

    run_adoption(database=database(config), days=days, as_json=as_json)


@app.command()
def figures(
    config: Config = DEFAULT_CONFIG,
    days: Annotated[int, typer.Option(help="How many days back, today included.", min=1, max=731)] = 7,
    by: Annotated[Literal["hour", "day", "month"], typer.Option(help="hour, day or month.", metavar="STEP")] = "day",
    as_csv: Annotated[
        bool, typer.Option("--csv", help="Print CSV, with times in UTC and in the venue's time zone.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Show released figures of up to two years, each with its 95 % interval.

    Example: `edge-scanner figures --days 731 --by month --csv > years.csv`
    """
    from edge_scanner.device import settings
    from edge_scanner.device.commands.figures import run_figures

    chosen = settings.load(config)
    run_figures(
        database=Path(chosen.device.state_dir) / settings.DATABASE,
        zone=settings.zone(chosen.device.time_zone),
        days=days,
        by=by,
        as_csv=as_csv,
        as_json=as_json,
    )


@app.command()
def doctor(
    config: Config = DEFAULT_CONFIG,
    lang: Lang = None,
    as_json: Json = False,
) -> None:
    """Examine this box and say what to do about each problem; exit code 0 ok, 1 warning, 2 error.

    Example: `edge-scanner doctor --lang en`
    """
    from edge_scanner.device.commands.doctor import run_doctor

    raise typer.Exit(run_doctor(config, as_json=as_json, language=language(lang)))


@app.command()
def enrol(
    bench: Annotated[
        str, typer.Option(help="The bench's address; found on the cable if not given.", metavar="URL")
    ] = "",
    card: Annotated[
        Path | None, typer.Option(help="Instead of a bench: what `edge-provision card` wrote.", metavar="DIR")
    ] = None,
    move: Annotated[
        Path | None, typer.Option(help="Move to another site: what `fleet move` wrote; - reads stdin.", metavar="FILE")
    ] = None,
    wait: Annotated[float, typer.Option(help="How long to listen for a bench, seconds.", min=0, max=600)] = 20.0,
    etc: Annotated[Path, typer.Option(help="The folder for settings.", metavar="DIR")] = DEFAULT_CONFIG.parent,
    state: Annotated[Path, typer.Option(help="The folder for keys.", metavar="DIR")] = Path("/var/lib/edge-scanner"),
    self_test: Annotated[bool, typer.Option(help="Run the self-test at the end.")] = True,
    set_clock: Annotated[bool, typer.Option(help="Set the clock from the bench if it is wrong.")] = True,
    lang: Lang = None,
    as_json: Json = False,
) -> None:
    """Enrol this box: make keys and get id, certificate and settings from the bench. If interrupted, run it again.

    Example: `edge-scanner enrol --wait 60`
    """
    from edge_scanner.device.commands.enrol import run_enrol

    code = run_enrol(
        etc=etc,
        state=state,
        bench=bench,
        card=card,
        move=move,
        wait_s=wait,
        self_test=self_test,
        set_clock=set_clock,
        as_json=as_json,
        language=language(lang),
    )
    raise typer.Exit(code)


@app.command()
def renew(config: Config = DEFAULT_CONFIG, as_json: Json = False) -> None:
    """Fetch the operational certificate at the first contact, and a new one long before it expires.

    Example: `edge-scanner renew`
    """
    from edge_scanner.device.commands.renew import run_renew

    run_renew(config, as_json=as_json)


if __name__ == "__main__":
    main()
