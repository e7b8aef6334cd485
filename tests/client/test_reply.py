"""The one reader of error bodies: every shape servers use, and what is meant to break it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.client.protocols.recordings import errors
from tui.client.reply import BODY_LIMIT, MESSAGE_LIMIT, Rejected, Reply, parse_json, read_error, read_reply

OBJECT = {"message": "no", "type": "invalid_request_error", "param": "input", "code": "bad"}


def message_of(body: str) -> str:
    return read_reply(400, body.encode()).message


@pytest.mark.parametrize(
    ("body", "reply"),
    [
        pytest.param({"error": OBJECT}, Reply(400, "no", "bad", "invalid_request_error", "input", "json"), id="object"),
        pytest.param({"error": "text"}, Reply(400, "text", form="json"), id="string"),
        pytest.param(
            {"error": "text", "code": 7, "type": "t"}, Reply(400, "text", "7", "t", form="json"), id="string and more"
        ),
        pytest.param(
            {"type": "error", "error": {"type": "overloaded_error", "message": "busy"}, "request_id": "r"},
            Reply(400, "busy", type="overloaded_error", form="json"),
            id="typed",
        ),
        pytest.param({"detail": "text"}, Reply(400, "text", form="json"), id="detail"),
        pytest.param({"detail": {"message": "m", "code": 3}}, Reply(400, "m", "3", form="json"), id="detail object"),
        pytest.param(
            {"detail": {"error": {"message": "m", "code": "c"}}},
            Reply(400, "m", "c", form="json"),
            id="detail of error",
        ),
        pytest.param(
            {"status": {"type": "t", "code": 424, "message": "m", "stacktrace": ["secret"]}},
            Reply(400, "m", "424", "t", form="json"),
            id="status object",
        ),
        pytest.param(
            {"detail": [{"loc": ["body", "input", 0], "msg": "Field required", "type": "missing"}, {"msg": "two"}]},
            Reply(400, "input.0: Field required", param="input.0", form="json"),
            id="list of faults",
        ),
        pytest.param(
            [{"loc": ["messages"], "msg": "Field required"}],
            Reply(400, "messages: Field required", param="messages", form="json"),
            id="bare list of faults",
        ),
        pytest.param([{"error": {"message": "m"}}], Reply(400, "m", form="json"), id="list of errors"),
        pytest.param({"errors": [{"message": "m", "code": 5}]}, Reply(400, "m", "5", form="json"), id="errors"),
        pytest.param({"code": 1104, "message": "m"}, Reply(400, "m", "1104", form="json"), id="flat"),
        pytest.param(
            {"error_code": "INVALID_STATE", "message": "m"},
            Reply(400, "m", "INVALID_STATE", form="json"),
            id="error code",
        ),
        pytest.param(
            {"error": {"message": "{'errors': [{'loc': ('input',), 'msg': 'bad'}]}"}},
            Reply(400, "{'errors': [{'loc': ('input',), 'msg': 'bad'}]}", form="json"),
            id="python's repr",
        ),
        pytest.param({"error": {"message": "m", "code": None}}, Reply(400, "m", form="json"), id="no code"),
        pytest.param({"error": {"code": 404, "type": "x"}}, Reply(400, "", "404", "x", form="json"), id="no message"),
        pytest.param("text", Reply(400, "text", form="json"), id="a JSON string"),
        pytest.param(None, Reply(400), id="null"),
        pytest.param({}, Reply(400, "{}", form="json"), id="nothing known"),
    ],
)
@pytest.mark.fault("H15")
def test_a_shape(body: Any, reply: Reply) -> None:
    assert read_reply(400, json.dumps(body).encode()) == reply


@pytest.mark.parametrize(
    ("body", "reply"),
    [
        (b"", Reply(500)),
        (b" \r\n ", Reply(500)),
        (b"Internal Server Error", Reply(500, "Internal Server Error", form="text")),
        (b"two\nlines\t and  blanks", Reply(500, "two lines and blanks", form="text")),
        (b'{"error": {"message": "cut he', Reply(500, '{"error": {"message": "cut he', form="text")),
        (b'\xef\xbb\xbf{"error":"marked"}', Reply(500, "marked", form="json")),
        (b'data: {"error":{"message":"as an event"}}\n\n', Reply(500, "as an event", form="json")),
        (b'event: error\ndata: {"error":\ndata: "in two lines"}\n\n', Reply(500, "in two lines", form="json")),
        (b': hello\n\ndata: {"error":"after a comment"}', Reply(500, "after a comment", form="json")),
        (b"event: nothing more", Reply(500, "event: nothing more", form="text")),
        (b"caf\xe9 is closed today", Reply(500, "caf\ufffd is closed today", form="text")),
    ],
)
def test_what_is_not_json(body: bytes, reply: Reply) -> None:
    assert read_reply(500, body) == reply


@pytest.mark.parametrize(
    ("page", "title"),
    [
        ("<!doctype html><html><head><title>502 Bad Gateway</title></head><body>x</body></html>", "502 Bad Gateway"),
        ("<HTML><TITLE lang=en>Sign\n in &amp; go</TITLE>", "Sign in & go"),
        ("\n <html><body>no title</body></html>", ""),
        ("<html><title>never closed", ""),
        ("<?xml version='1.0'?><html><title/></html>", ""),
        ("<!-- hi --><html><title></title></html>", ""),
        ("<html><title", ""),
        ("<html>never begun</title>", ""),
    ],
)
@pytest.mark.fault("H21")
def test_of_a_web_page_only_the_title_is_kept(page: str, title: str) -> None:
    assert read_reply(502, page.encode()) == Reply(502, title, form="html")


def test_a_page_made_of_titles_is_read_in_one_pass() -> None:
    """Quadratic work on this body would take minutes."""
    assert read_reply(502, b"<html>" + b"<title" * 4_000_000).form == "html"
    assert read_reply(502, b"<html>" + b"<title>" * 1_000_000).form == "html"


@pytest.mark.parametrize(
    ("headers", "retry_after", "should_retry"),
    [
        ({}, None, None),
        ({"retry-after": "20"}, "20", None),
        ({"x-should-retry": "TRUE"}, None, True),
        ({"x-should-retry": "false", "retry-after": ""}, "", False),
        ({"x-should-retry": "perhaps"}, None, None),
    ],
)
def test_headers_about_trying_again(
    headers: dict[str, str], retry_after: str | None, should_retry: bool | None
) -> None:
    reply = read_reply(503, b"", headers)
    assert (reply.retry_after, reply.should_retry) == (retry_after, should_retry)


def test_an_error_in_a_stream_may_tell_a_status() -> None:
    bridged = {"type": "error", "status": 400, "error": {"code": "c", "message": "m"}}
    assert read_error(bridged) == Reply(400, "m", "c", form="json")
    assert read_error(bridged, 502).status == 502


@pytest.mark.parametrize("status", [100, 999])
def test_the_least_and_the_largest_status_there_are(status: int) -> None:
    assert read_error({"error": {"message": "m"}, "status": status}).status == status


@pytest.mark.parametrize("status", [True, "400", None, 10**20, -1, 99, 1000, 4.5])
def test_a_status_that_is_none_is_not_believed(status: object) -> None:
    assert read_error({"error": {"message": "m"}, "status": status}).status == 0


# What is meant to break it


@pytest.mark.fault("H25")
def test_a_body_of_ten_megabytes_becomes_a_message_of_reasonable_length() -> None:
    for body in (b"x" * 10_000_000, json.dumps({"error": {"message": "y" * 10_000_000}}).encode(), b" \n" * 5_000_000):
        assert len(read_reply(500, body).message) <= MESSAGE_LIMIT


@pytest.mark.fault("H25")
@pytest.mark.parametrize(
    "body", [bytes(range(256)) * 40, b"\x89PNG\r\n\x1a\n" + b"\0" * 500, b"\x1f\x8b\x08" + b"\xff" * 99]
)
def test_a_binary_body_says_nothing(body: bytes) -> None:
    assert read_reply(500, body) == Reply(500, form="text")


@pytest.mark.parametrize("bad", ["\x00", "\x08", "\ufffd"])
@pytest.mark.parametrize(("count", "says"), [(100, True), (101, False)])
def test_a_tenth_of_what_is_no_text_is_still_text(bad: str, count: int, says: bool) -> None:
    body = "x" * (1000 - count) + bad * count
    assert message_of(body) == (body if says else "")


def test_tabs_are_text_and_only_the_beginning_is_looked_at() -> None:
    assert message_of("x\t" * 400) == " ".join("x" * 400)
    assert message_of("x" * 1000 + "\x00" * 900) == "x" * 1000 + "\x00" * 900


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        ("x" * MESSAGE_LIMIT, "x" * MESSAGE_LIMIT),
        ("x" * (MESSAGE_LIMIT + 1), "x" * (MESSAGE_LIMIT - 1) + "…"),
        (f"a{' ' * (4 * MESSAGE_LIMIT - 2)}b", "a b"),
        (f"a{' ' * (4 * MESSAGE_LIMIT - 1)}b", "a"),
    ],
)
def test_how_much_of_a_message_is_kept(said: str, kept: str) -> None:
    assert read_error({"error": {"message": said}}).message == kept


@pytest.mark.parametrize("value", [{"detail": ["é"]}, {"a": "é"}, {"error": {"message": {"a": "é"}}}])
def test_what_has_no_words_is_shown_as_it_came(value: Any) -> None:
    assert "é" in read_error(value).message


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"code": 0, "error_code": 7}, "0"),
        ({"code": None, "error_code": 7}, "7"),
        ({"code": "", "error_code": 7}, ""),
        ({"error_code": True}, ""),
        ({"code": "c" * 200}, "c" * 200),
        ({"code": "c" * 201}, "c" * 200),
    ],
)
def test_which_code_counts_and_how_much_of_it(fields: dict[str, Any], code: str) -> None:
    assert read_error({"message": "m", **fields}) == Reply(0, "m", code, form="json")


@pytest.mark.parametrize("value", [{"error": {"code": "c"}}, {"error_code": "c"}, {"errors": [{"error_code": "c"}]}])
def test_a_code_alone_is_an_error(value: Any) -> None:
    assert read_error(value, 400) == Reply(400, "", "c", form="json")


def test_a_value_nested_beyond_reason_says_nothing() -> None:
    value: Any = "no"
    for _ in range(100_000):
        value = {"detail": value}
    assert read_error(value, 400) == Reply(400, form="json")
    with pytest.raises(ValueError, match=r"^nested too deeply$"):
        parse_json("[" * 100_000)


def test_what_a_fault_is_in_is_told_without_the_body_around_it() -> None:
    fault = {"msg": "missing", "loc": ["body"]}
    assert read_error({"detail": [fault]}) == Reply(0, "missing", form="json")
    assert read_error({"detail": [fault | {"loc": "input"}]}) == Reply(0, "missing", form="json")
    assert read_error({"errors": [{"error": {"message": "m"}}]}, 422) == Reply(422, "m", form="json")


def test_everything_said_is_one_text_for_rules_that_look_for_words() -> None:
    assert Reply(400, "no", "bad", "kind", "input").text == "bad kind input no"
    assert Reply(400, "no").text == "no"


@pytest.mark.parametrize("in_stream", [False, True])
def test_a_rejection_has_the_reply_and_its_words(in_stream: bool) -> None:
    reply = Reply(400, "no")
    rejected = Rejected(reply, in_stream=in_stream)
    assert (str(rejected), rejected.reply, rejected.in_stream) == ("no", reply, in_stream)
    assert Rejected(reply).in_stream is False


def test_escapes_and_markup_are_kept_for_the_door_to_the_screen_to_clean() -> None:
    said = "\x1b]52;c;aGk=\x07[/][@click=app.quit]x[/] \x9b31m\u202e"
    assert message_of(json.dumps({"error": {"message": said}})) == said


@pytest.mark.parametrize("depth", [100, 400, 900, 980, 990, 995, 1_000, 100_000])
@pytest.mark.parametrize(
    ("start", "end"),
    [
        ("[", "]"),
        ('{"a":', "1}"),
        ('{"detail":', "1}"),
        ('{"errors":[', "]}"),
        ('{"error":{"message":', "1}}"),
        ("[{", "}]"),
    ],
)
@pytest.mark.fault("N50")
def test_however_deep_a_body_is_it_is_read_or_left(start: str, end: str, depth: int) -> None:
    body = start * depth + (end * depth if end != "1}" else "1" + "}" * depth)
    reply = read_reply(400, body.encode())
    assert reply.status == 400
    assert len(reply.message) <= MESSAGE_LIMIT


@pytest.mark.fault("N50")
def test_numbers_of_five_thousand_digits_and_no_numbers() -> None:
    long = "1" * 5000
    assert message_of(f'{{"error":{{"message":"m","code":{long}}}}}').startswith('{"error"')
    assert read_reply(400, b'{"error":{"message":"m","code":1e400}}').code == "inf"
    assert read_reply(400, b'{"error":{"message":NaN}}').message == "nan"
    assert read_reply(400, b'{"error":{"message":"a","message":"b"}}').message == "b"


@pytest.mark.parametrize(
    "value",
    [
        {"error": {"message": {"a": ["b"]}}},
        {"error": {"message": ["b"], "code": {"c": 1}, "type": [2], "param": 3.5}},
        {"error": {"message": True, "code": False}},
        {"error": []},
        {"error": [1, "two"]},
        {"error": 5},
        {"detail": None},
        {"detail": []},
        {"detail": [{"msg": 5}]},
        {"detail": [{"msg": "m", "loc": None}]},
        {"detail": [{"msg": "m", "loc": 7}]},
        {"detail": [{"msg": "m", "loc": [None, {"a": 1}, 2]}]},
        {"detail": {"a": 1}},
        {"errors": []},
        {"errors": [None]},
        [],
        [[]],
        [{"msg": None}],
        5,
        True,
        "\ud800",
    ],
)
def test_wrong_types_are_read_as_words_of_some_kind(value: Any) -> None:
    reply = read_error(value, 400)
    assert reply.status == 400
    assert all(isinstance(part, str) for part in (reply.message, reply.code, reply.type, reply.param, reply.text))


def test_short_fields_stay_short() -> None:
    reply = read_error({"error": {"message": "m", "code": "c" * 10_000, "type": "t" * 10_000, "param": "p" * 10_000}})
    assert max(map(len, (reply.code, reply.type, reply.param))) <= 200


@pytest.mark.parametrize("text", ["[" * 100_000, '{"a":' * 100_000, "1" * 5000, "", "{", "nul", b"\xff\xfe", b"\x80"])
@pytest.mark.fault("N50")
def test_what_is_no_json_is_a_value_error(text: str | bytes) -> None:
    with pytest.raises(ValueError, match=r".*"):
        parse_json(text)


# What real servers said


@pytest.mark.parametrize("recording", errors(), ids=lambda recording: recording.name)
def test_a_recorded_error_body_is_read(recording: Any) -> None:
    reply = read_reply(recording.status, recording.body[:BODY_LIMIT], recording.headers)
    assert reply.status == recording.status
    assert reply.message
    assert "{" not in reply.message[:1], "the message is the server's own words, not its JSON"
    if recording.body.lstrip().startswith(b"{"):
        assert reply.form == "json"
