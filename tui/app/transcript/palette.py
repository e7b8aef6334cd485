"""The styles a transcript is drawn in, made from the theme's colours."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field

from rich.style import Style
from textual.color import Color, ColorParseError

from tui.values import dataclass

NONE = Style()


@dataclass(frozen=True, slots=True)
class Palette:
    """Styles by what they mean. Backgrounds are given only where they differ from the widget's own."""

    text: Style = NONE
    muted: Style = NONE
    faint: Style = NONE
    strong: Style = Style(bold=True)
    prompt: Style = NONE
    prompt_bar: Style = NONE
    cursor_bar: Style = NONE
    heading: Style = Style(bold=True)
    subheading: Style = Style(bold=True)
    code: Style = NONE
    fence: Style = NONE
    fence_label: Style = NONE
    link: Style = Style(underline=True)
    quote: Style = Style(italic=True)
    rule: Style = NONE
    reasoning: Style = Style(italic=True)
    tool: Style = NONE
    note: Style = NONE
    error: Style = NONE
    selection: Style = Style(reverse=True)
    mark: Style = Style(reverse=True)
    match: Style = Style(underline=True)
    tokens: Mapping[str, Style] = field(default_factory=dict)

    def token(self, kind: str) -> Style:
        """The style of a piece of highlighted code, by the name of its token's type."""
        while kind:
            style = self.tokens.get(kind)
            if style is not None:
                return style
            kind = kind.rpartition(".")[0]
        return self.fence


def make_palette(variables: Mapping[str, str]) -> Palette:
    """The palette for a theme's variables, as `App.theme_variables` gives them."""
    colours = _Colours(variables)
    fore, back = colours("foreground"), colours("background")
    surface = colours("surface")
    fence_back = _blend(back, colours("panel"), 0.55)
    muted = _blend(fore, back, 0.38)
    faint = _blend(fore, back, 0.62)
    primary, secondary, accent = (colours(name) for name in ("primary", "secondary", "accent"))
    success, warning, error = (colours(name) for name in ("success", "warning", "error"))
    reading = _readable(primary, fore, back)
    fence = _style(fore, fence_back)
    tokens = {
        "Keyword": fence + _style(_readable(primary, fore, back), bold=True),
        "Keyword.Constant": fence + _style(_readable(accent, fore, back)),
        "Name.Function": fence + _style(_readable(warning, fore, back)),
        "Name.Class": fence + _style(_readable(warning, fore, back), bold=True),
        "Name.Decorator": fence + _style(_readable(accent, fore, back)),
        "Name.Tag": fence + _style(_readable(primary, fore, back)),
        "Name.Attribute": fence + _style(_readable(warning, fore, back)),
        "Name.Builtin": fence + _style(_readable(secondary, fore, back, 0.6)),
        "Literal.String": fence + _style(_readable(success, fore, back)),
        "Literal.Number": fence + _style(_readable(accent, fore, back)),
        "Comment": fence + _style(muted, italic=True),
        "Operator.Word": fence + _style(_readable(primary, fore, back), bold=True),
        "Generic.Deleted": fence + _style(_readable(error, fore, back)),
        "Generic.Inserted": fence + _style(_readable(success, fore, back)),
        "Generic.Heading": fence + _style(None, bold=True),
        "Generic.Subheading": fence + _style(_readable(accent, fore, back)),
        "Generic.Prompt": fence + _style(muted),
    }
    return Palette(
        text=_style(fore),
        muted=_style(muted),
        faint=_style(faint),
        strong=_style(fore, bold=True),
        prompt=_style(fore, _blend(back, surface, 0.8)),
        prompt_bar=_style(primary, _blend(back, surface, 0.8)),
        cursor_bar=_style(accent, bold=True),
        heading=_style(reading, bold=True),
        subheading=_style(_blend(reading, fore, 0.35), bold=True),
        code=_style(_readable(accent, fore, back, 0.25), fence_back),
        fence=fence,
        fence_label=_style(faint, fence_back),
        link=_style(_readable(primary, fore, back), underline=True),
        quote=_style(muted, italic=True),
        rule=_style(faint),
        reasoning=_style(muted, italic=True),
        tool=_style(_readable(secondary, fore, back, 0.55)),
        note=_style(_readable(warning, fore, back)),
        error=_style(_readable(error, fore, back, 0.25)),
        selection=_style(fore, _blend(primary, back, 0.5)),
        mark=_style(back, accent, bold=True),
        match=_style(fore, _blend(back, accent, 0.35)),
        tokens=tokens,
    )


class _Colours:
    """Looks theme colours up, with something sensible where one is missing."""

    _DEFAULTS = {"foreground": "#e0e0e0", "background": "#121212", "surface": "#1e1e1e", "panel": "#242f38"}

    def __init__(self, variables: Mapping[str, str]) -> None:
        self._variables = variables

    def __call__(self, name: str) -> Color:
        for value in (self._variables.get(name, ""), self._DEFAULTS.get(name, "#808080")):
            try:
                return Color.parse(value)
            except ColorParseError:
                continue
        return Color(128, 128, 128)


def _is_plain(*colours: Color) -> bool:
    return all(colour.ansi is None for colour in colours)


def _blend(one: Color, other: Color, factor: float) -> Color:
    """A colour between two; terminal colours, which have no known value, are left as they are."""
    return one.blend(other, factor) if _is_plain(one, other) else one


def _readable(colour: Color, fore: Color, back: Color, least: float = 0.0) -> Color:
    """`colour`, brought towards the text's own until it stands out enough from the background."""
    if not _is_plain(colour, fore, back):
        return colour
    for step in range(10):
        mixed = colour.blend(fore, max(least, step / 10))
        if mixed.get_contrast_text(1).ansi is None and _contrast(mixed, back) >= 4.5:
            return mixed
    return fore


def _contrast(one: Color, other: Color) -> float:
    """The contrast of two colours, as WCAG 2 defines it: 1 to 21."""
    light, dark = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def _luminance(colour: Color) -> float:
    def linear(channel: int) -> float:
        part = channel / 255
        return part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4

    red, green, blue = colour.rgb
    return 0.2126 * linear(red) + 0.7152 * linear(green) + 0.0722 * linear(blue)


def _style(
    fore: Color | None,
    back: Color | None = None,
    *,
    bold: bool | None = None,
    italic: bool | None = None,
    underline: bool | None = None,
) -> Style:
    return Style(
        color=fore.rich_color if fore is not None else None,
        bgcolor=back.rich_color if back is not None else None,
        bold=bold,
        italic=italic,
        underline=underline,
    )
