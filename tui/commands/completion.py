"""Print what completes commands, options and labels in a shell."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Mapping, Sequence

from tui import paths
from tui.command_words import COMMANDS
from tui.console import write_out
from tui.errors import Exit
from tui.values import dataclass

SHELLS = ("bash", "zsh", "fish")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "shell", choices=(*SHELLS, "labels"), help="the shell; `labels` prints the labels that can be typed"
    )


def main(args: argparse.Namespace, parsers: Callable[[], Mapping[str, argparse.ArgumentParser]]) -> int:
    """`parsers` gives those of all commands, by their names; that of the window has none."""
    if args.shell == "labels":
        from tui.store.labels import read_labels
        from tui.text import clean

        # A shell writes a label into its line as it is: one that its terminal would obey is not offered.
        labels = [
            label for label in read_labels(paths.find().history_file) if "\n" not in label and clean(label) == label
        ]
        text = "".join(f"{label}\n" for label in labels)
    else:
        text = _script(args.shell, [one for words, parser in parsers().items() for one in _of(words, parser)])
    write_out(text.encode("utf-8", "replace"))
    return int(Exit.DONE)


@dataclass(frozen=True, slots=True)
class _Command:
    """A command, or one of another's: its words, the words that may follow, its options, and where it takes a label:
    as its first argument, or after some of its options."""

    words: str
    commands: tuple[str, ...] = ()
    options: tuple[str, ...] = ()
    takes_label: bool = False
    label_options: tuple[str, ...] = ()


def _of(words: str, parser: argparse.ArgumentParser) -> Iterator[_Command]:
    commands: dict[str, argparse.ArgumentParser] = {}
    options: list[str] = []
    labels: list[str] = []
    takes_label = False
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            commands = dict(action.choices)
        elif action.option_strings:
            options += action.option_strings
            # An import and a conversation taken over get a label that is new.
            if (action.metavar == "LABEL" or action.dest == "label") and words != "import":
                labels += action.option_strings
        elif action.metavar == "LABEL" and words != "sessions adopt":
            takes_label = True
        elif action.choices:
            commands = dict.fromkeys(map(str, action.choices), argparse.ArgumentParser(add_help=False))
    names = tuple(commands) if words else COMMANDS
    yield _Command(words, names, tuple(options), takes_label, tuple(labels))
    for name, sub in commands.items():
        if words != "completion":
            yield from _of(f"{words} {name}", sub)


_BASH = r"""# Completes palaver in bash: source <(palaver completion bash)
_palaver() {
    local line=${COMP_LINE:0:COMP_POINT} words=() word i cur quote="" command="" known=" " takes="" after="" at=1 found=()
    # Bash takes a label apart at its colons; what stands together in the line is one word.
    for ((i = 0; i <= COMP_CWORD; i++)); do
        word=${COMP_WORDS[i]}
        if [[ $i -gt 0 && -n $line && $line != [[:space:]]* ]]; then
            words[${#words[@]} - 1]+=$word
        else
            words+=("$word")
            line=${line#"${line%%[![:space:]]*}"}
        fi
        line=${line#"$word"}
    done
    cur=${words[${#words[@]} - 1]}
    case "${words[1]}" in
        @FIRST@) [[ ${#words[@]} -gt 2 ]] && command=${words[1]} at=2 ;;
    esac
    case "$command ${words[2]}" in
        @SECOND@) [[ ${#words[@]} -gt 3 ]] && command="$command ${words[2]}" at=3 ;;
    esac
    case "$command" in
@TABLE@
    esac
    # A label is the first argument, or what follows some options.
    [[ " $after " == *" ${words[${#words[@]} - 2]} "* && -n $after ]] && takes=1 known=" "
    [[ $takes == first && ${#words[@]} -eq $((at + 1)) ]] && takes=1
    case "$cur" in [\'\"]*) quote=${cur:0:1} cur=${cur:1} ;; *) cur=${cur//\\/} ;; esac
    for word in $known; do [[ $word == "$cur"* ]] && found+=("$word"); done
    if [[ $takes == 1 && $cur != -* ]]; then
        while IFS= read -r word; do
            [[ $word == "$cur"* ]] || continue
            [[ -n $quote ]] && found+=("$quote$word$quote") || found+=("$(printf %q "$word")")
        done < <(palaver completion labels 2>/dev/null)
    fi
    COMPREPLY=("${found[@]}")
    # What stands before the last colon is in the line already.
    if [[ $cur == *[:=]* && -z $quote ]]; then
        word=$(printf %q "${cur%"${cur##*[:=]}"}")
        COMPREPLY=("${COMPREPLY[@]#"$word"}")
    fi
}
complete -o nosort -F _palaver palaver 2>/dev/null || complete -F _palaver palaver
"""


_ZSH = r"""#compdef palaver
# Completes palaver in zsh: palaver completion zsh > a folder of $fpath, as _palaver
_palaver() {
    local command="" known="" takes="" after="" at=2
    local -a labels
    if (( CURRENT > 2 )); then
        case "$words[2]" in
            @FIRST@) command=$words[2] at=3 ;;
        esac
    fi
    if (( CURRENT > 3 )); then
        case "$command $words[3]" in
            @SECOND@) command="$command $words[3]" at=4 ;;
        esac
    fi
    case "$command" in
@TABLE@
    esac
    if [[ -n $after && " $after " == *" $words[CURRENT-1] "* ]]; then takes=1 known=""; fi
    if [[ $takes == first ]] && (( CURRENT == at )); then takes=1; fi
    if [[ $takes == 1 ]]; then
        labels=("${(@f)$(palaver completion labels 2>/dev/null)}")
        compadd -V labels -- ${labels:#}
    fi
    compadd -- ${=known}
}
if [[ $funcstack[1] == _palaver ]]; then _palaver "$@"; else compdef _palaver palaver; fi
"""


def _script(shell: str, commands: Sequence[_Command]) -> str:
    return _fish(commands) if shell == "fish" else _filled(_BASH if shell == "bash" else _ZSH, commands)


def _filled(script: str, commands: Sequence[_Command]) -> str:
    """A script with what is known of each command, as both bash and zsh read it."""
    first = "|".join(command.words for command in commands if command.words and " " not in command.words)
    second = "|".join(f'"{command.words}"' for command in commands if " " in command.words)
    lines = []
    for command in commands:
        sets = [f'known="{" ".join((*command.commands, *command.options))}"']
        sets += ["takes=first"] if command.takes_label else []
        sets += [f'after="{" ".join(command.label_options)}"'] if command.label_options else []
        lines.append(f'        "{command.words}") {" ".join(sets)} ;;')
    return script.replace("@FIRST@", first).replace("@SECOND@", second).replace("@TABLE@", "\n".join(lines))


_FISH = """\
# Completes palaver in fish: palaver completion fish > ~/.config/fish/completions/palaver.fish
function __palaver_at
    # Whether the words typed before the one at the cursor are palaver and these.
    set -l words (commandline -opc)
    test "$words[2..-1]" = "$argv"
end
function __palaver_in
    # Whether they begin with these.
    set -l words (commandline -opc)
    string match -q -- "$argv *" "$words[2..-1] "
end
complete -c palaver -f
"""


def _fish(commands: Sequence[_Command]) -> str:
    lines = [_FISH.rstrip()]
    labels = "(palaver completion labels 2>/dev/null)"
    for command in commands:
        at = f'-n "__palaver_at {command.words}"' if command.words else '-n "__palaver_at"'
        within = f'-n "__palaver_in {command.words}"' if command.words else at
        if command.commands:
            lines.append(f"complete -c palaver {at} -a '{' '.join(command.commands)}'")
        if command.takes_label:
            lines.append(f"complete -c palaver {at} -k -a '{labels}'")
        for option in command.options:
            short_or_long = f"-l {option[2:]}" if option.startswith("--") else f"-s {option[1:]}"
            value = f" -r -k -a '{labels}'" if option in command.label_options else ""
            lines.append(f"complete -c palaver {within} {short_or_long}{value}")
    return "\n".join(lines) + "\n"
