"""The page as people use it: a keyboard, a phone, a link, a dark room."""

import json
import re
import shlex

import pytest
from click.testing import CliRunner

import mxref
from mxref.cli.main import main
from mxref.show.html._colours import CONTRAST, contrast

pytestmark = pytest.mark.browser

STATES = (
    "",
    "#f=mxfp4&x=1.3",
    "#f=mxfp4&x=" + "-123456.789,1e-30," * 15 + "nan,inf",
    "#f=e4m3&c=0x7e",
    "#f=e5m2&c=0x7c&p=ocp:fp8_overflow=overflow",
    "#f=int8&x=-1.9999&p=ocp:int8_min=used",
    "#f=e8m0&c=0x00",
    "#f=mxint8&x=3e38,-2.7&s=0xff",
    "#f=mxfp8_e5m2&x=1e-45&p=ocp:scale_rule=stochastic,rounding=stochastic-b&r=77&t=float64",
    "#f=mxfp6_e3m2&x=1.2345678901234567e-40&p=torchao-rceil&i=31",
)
FOCUS = (
    """() => { const e = document.activeElement; return e.id || e.dataset.key || e.className; }"""
)


def summary(browser):
    return browser.evaluate("byId('summary').textContent")


def focus(browser):
    return browser.call(FOCUS)


def to_element(browser, key):
    browser.call("(key) => document.querySelector(`[data-key=${key}]`).focus()", key)


def reopen(browser, page_url, state):
    browser.open(page_url + state)
    assert not browser.complaints


# --- links ------------------------------------------------------------------------------------


@pytest.mark.parametrize("state", STATES)
def test_a_link_opens_at_its_state_and_the_state_makes_the_link(browser, page_url, state):
    reopen(browser, page_url, state)
    made = browser.evaluate("location.hash")
    first = (browser.evaluate("document.body.innerText"), made)
    assert browser.evaluate("byId('message').textContent") == ""
    reopen(browser, page_url, made)
    assert (browser.evaluate("document.body.innerText"), browser.evaluate("location.hash")) == first


def test_a_code_in_a_link_is_shown_with_its_value(browser, page_url):
    reopen(browser, page_url, "#f=e4m3&c=0x7e")
    assert summary(browser) == "448 becomes 0x7e, that is 448, exactly."
    assert "464" in browser.evaluate("byId('facts').textContent")


@pytest.mark.parametrize(
    ("state", "message"),
    [
        ("#f=e9m9", "no format"),
        ("#f=e4m3&c=0x100", "0 to 0xff"),
        ("#f=e4m3&p=opc", "there are ocp, tosa-1.1"),
        ("#f=e4m3&p=ocp:rounding=upp", "nearest-even"),
        ("#f=e4m3&x=1,3x", ""),
        ("#f=mxfp4&x=1,3x", "“3x” is no number"),
        ("#f=mxfp4&x=1&p=ocp:scale_rule=mse,rounding=stochastic-a", "Choose another rounding"),
        ("#f=mxfp4&x=nan&p=ocp:nan_element=raise", "remove the NaN"),
        ("#f=mxfp4&x=1&t=float7", "no type"),
        ("#f=mxfp4&x=1&i=99&s=zz", "no code of e8m0"),
    ],
)
def test_a_wrong_link_says_what_is_wrong(browser, page_url, state, message):
    reopen(browser, page_url, state)
    assert message in browser.evaluate("byId('message').textContent")
    assert bool(message) == bool(browser.evaluate("byId('message').textContent"))


@pytest.mark.parametrize("key", ["f", "x", "p", "t", "i", "c", "s", "r"])
def test_what_a_link_brings_is_text_and_never_html(browser, page_url, key):
    attack = "<img src=x onerror=window.hit=1><script>window.hit=1</script>\"'&"
    before = browser.evaluate("document.querySelectorAll('*').length")
    state = browser.call("(k, v) => `${k}=${encodeURIComponent(v)}`", key, attack)
    reopen(browser, page_url, f"#f=e2m1&x=1&{state}" if key != "f" else f"#{state}")
    assert not browser.evaluate("window.hit")
    assert not browser.evaluate("document.querySelectorAll('img, main script').length")
    assert browser.evaluate("document.querySelectorAll('*').length") < 2 * before


# --- typing and clicking ----------------------------------------------------------------------


def test_a_typed_number_is_converted_at_once(browser, page_url):
    reopen(browser, page_url, "#f=e2m1&x=1")
    browser.evaluate("byId('numbers').focus(), byId('numbers').select()")
    browser.type("2.5")
    assert summary(browser) == "2.5 becomes 0x4, that is 2, off by -0.5 ulp."
    steps = browser.evaluate("byId('element-steps').innerText")
    assert "a tie: nearest-even goes down to +0b1.0*2^1 = 2" in steps
    browser.type("x")
    assert "“2.5x” is no number" in browser.evaluate("byId('message').textContent")
    assert browser.evaluate("byId('numbers').getAttribute('aria-invalid')") == "true"
    assert focus(browser) == "numbers"


def test_choices_change_the_result_and_the_policy_has_its_name(browser, page_url):
    reopen(browser, page_url, "#f=mxfp4&x=7")
    assert "0x7f = 2^0 = 1" in summary(browser)
    choose = """(id, value) => {
      byId(id).value = value;
      byId(id).dispatchEvent(new Event('change'));
    }"""
    browser.call(choose, "rule", "rceil")
    assert "0x80 = 2^1 = 2" in summary(browser)
    assert "p=ocp:scale_rule=rceil" in browser.evaluate("location.hash")
    assert "--policy ocp:scale_rule=rceil" in browser.evaluate("byId('command').textContent")
    browser.evaluate("byId('reset-policy').click()")
    assert "0x7f = 2^0 = 1" in summary(browser)


@pytest.mark.parametrize(
    ("state", "remark"),
    [
        ("#f=mxfp4&x=1,2", "2 given: the other 30 elements are taken to be zero."),
        ("#f=e2m1&x=1,2", "2 numbers given: the first one is taken."),
        ("#f=mxfp8_e4m3&x=" + "1," * 40, "40 numbers given: the first 32 are taken."),
        ("#f=e4m3&x=1&p=mlx", "The profile mlx describes no conversion of casts"),
        ("#f=e8m0&x=1&p=riscv-zvfofp", "riscv-zvfofp does not describe e8m0"),
        ("#f=e2m1&x=1&p=torch", "The profile torch does not describe e2m1"),
        ("#f=e4m3&x=1&p=torch", ""),
        ("#f=mxint8&x=1," + "0," * 31 + "&p=p3109", ""),
    ],
)
def test_what_is_not_quite_what_was_asked_is_said(browser, page_url, state, remark):
    reopen(browser, page_url, state)
    said = browser.evaluate("byId('remark').textContent")
    assert remark in said
    assert bool(remark) == bool(said)


def test_every_clause_and_open_point_says_itself_on_a_tap(browser, page_url):
    reopen(browser, page_url, "#f=mxfp4&x=7")
    assert browser.evaluate("document.querySelectorAll('.clause').length") > 8
    told = browser.evaluate("""[...document.querySelectorAll('.clause')].map((button) => {
      button.click();
      const text = button.closest('.step').querySelector('.clause-text').textContent;
      return [button.title, text.includes(CLAUSES[button.textContent].text)];
    })""")
    assert all(title and is_said for title, is_said in told)


def test_a_scale_set_by_hand_is_used_and_can_be_taken_back(browser, page_url):
    reopen(browser, page_url, "#f=mxfp4&x=7")
    browser.evaluate("document.querySelector('[data-key=s7]').click()")
    assert "0xff = NaN" in summary(browser)
    assert "Set by hand" in browser.evaluate("byId('scale').textContent")
    browser.evaluate("document.querySelector('[data-key=unscale]').click()")
    assert "0x7f = 2^0 = 1" in summary(browser)


@pytest.mark.parametrize("state", [*STATES[1:], "#f=e2m1&x=-1.25&p=ocp:rounding=stochastic-a&r=9"])
def test_the_command_and_the_call_give_what_is_shown(browser, page_url, state):
    reopen(browser, page_url, state)
    command, call = browser.evaluate("byId('command').textContent").split("\n\n")
    shown = browser.evaluate("""(({ block, one }) => block === null
      ? [one.code]
      : [block.ruleCode, ...block.elements.slice(0, block.count).map((e) => e.code)])(settled)""")
    words = shlex.split(command)
    assert words[0] == "mxref"
    done = CliRunner().invoke(main, [*words[1:], "--json"])
    by_command = json.loads(done.output)
    by_call = eval(call, {"mxref": mxref}).to_dict()  # what the page offers to paste
    for found in (by_command, by_call):
        if "elements" not in found:
            assert [found["code"]] == shown
        elif "s=" not in state:
            assert [found["scale_code"], *(e["code"] for e in found["elements"])] == shown
        else:
            assert found["scale_code"] == shown[0]  # what was set by hand, only the page knows


# --- keyboard ---------------------------------------------------------------------------------


def test_the_page_is_usable_by_keyboard_alone(browser, page_url):
    """Tab reaches everything in the order of the page, and each stop can be seen."""
    reopen(browser, page_url, "#f=mxfp4&x=1,2,3")
    seen = []
    for _ in range(60):
        browser.press("Tab")
        seen.append(focus(browser))
        if seen[-1] == "copy-link":
            break
        outline = browser.evaluate("getComputedStyle(document.activeElement).outlineStyle")
        assert outline != "none", seen[-1]
    stops = (
        "skip",
        "format",
        "rule",
        "rounding",
        "policy",
        "numbers",
        "type",
        "s7",
        "cell0",
        "line",
    )
    stops += ("b3", "down", "up", "command", "copy-link")
    places = [seen.index(stop) for stop in stops]
    assert places == sorted(places), seen
    assert sum(stop.startswith("cell") for stop in seen) == 1  # one stop for the whole block


def test_space_toggles_a_bit_and_arrows_walk(browser, page_url):
    reopen(browser, page_url, "#f=e4m3&c=0x7e")
    to_element(browser, "b7")
    browser.press(" ")
    assert "-448 becomes 0xfe" in summary(browser)
    assert focus(browser) == "b7"
    for _ in range(7):
        browser.press("ArrowRight")
    assert focus(browser) == "b0"
    browser.press(" ")
    assert "-nan becomes 0x7f" in summary(browser)
    assert "0xff" in browser.evaluate("byId('bits').textContent")
    browser.press("ArrowUp")
    assert "-448 becomes 0xfe" in summary(browser)
    browser.press("ArrowUp")
    assert "-416 becomes 0xfd" in summary(browser)
    assert focus(browser) == "b0"


@pytest.mark.parametrize("name", ["e4m3", "e5m2", "e3m2", "e2m3", "e2m1", "int8", "e8m0"])
def test_arrows_on_the_line_step_through_every_value(browser, page_url, name):
    reopen(browser, page_url, f"#f={name}&x=1")
    to_element(browser, "line")
    values = []
    for _ in range(5):
        browser.press("ArrowRight")
        values.append(browser.evaluate("approximate(valueOf(settled.one.value))"))
        assert focus(browser) == "line"
    assert values == sorted(set(values))
    assert values[0] > 1
    walked = browser.evaluate(f"""(() => {{
      const fmt = formatOf("{name}");
      let code = fmt.isScale ? 0 : codeAt(-fmt.maxMagnitude, fmt), count = 1;
      for (let next; (next = stepCode(code, fmt, 1)) !== code; count += 1) code = next;
      return count;
    }})()""")
    finite = browser.evaluate(f"""(() => {{
      const fmt = formatOf("{name}");
      const codes = Array.from({{ length: 1 << fmt.bits }}, (_, code) => decodeAny(code, fmt));
      return codes.filter((n) => isReal(n) && !(n.cls === "zero" && n.sign)).length;
    }})()""")
    assert walked == finite - (name == "int8")  # from the largest negative, and INT8 has one more


def test_arrows_walk_through_the_cells(browser, page_url):
    reopen(browser, page_url, "")
    to_element(browser, "cell0")
    browser.press("ArrowRight")
    browser.press("ArrowDown")
    assert focus(browser) == "cell9"
    assert browser.evaluate("state.index") == 9
    assert "i=9" in browser.evaluate("location.hash")
    browser.press("End")
    assert focus(browser) == "cell31"
    browser.press("ArrowRight")
    assert focus(browser) == "cell31"


def test_everything_that_acts_has_a_name(browser, page_url):
    reopen(browser, page_url, "#f=mxfp8_e4m3&x=1,nan")
    browser.evaluate("byId('choices').open = true")
    nameless = browser.evaluate("""[...document.querySelectorAll('svg, textarea, button, select')]
      .filter((e) => !e.getAttribute('aria-label') && !e.closest('label'))
      .filter((e) => e.tagName !== 'BUTTON' || !e.textContent.trim())
      .map((e) => e.outerHTML.slice(0, 90))""")
    assert nameless == []
    ids = browser.evaluate("[...document.querySelectorAll('[id]')].map((e) => e.id)")
    assert len(ids) == len(set(ids))
    assert browser.evaluate("byId('summary').getAttribute('aria-live')") == "polite"


# --- phone, light and dark --------------------------------------------------------------------


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("width", [320, 360, 1280])
def test_the_page_never_scrolls_sideways(browser, page_url, state, width):
    browser.size(width, 740, mobile=width < 400)
    reopen(browser, page_url, state)
    browser.evaluate("byId('choices').open = true")
    browser.evaluate("document.querySelectorAll('.clause').forEach((b) => b.click())")
    over = browser.evaluate(f"""[...document.querySelectorAll('body *')]
      .filter((e) => e.getBoundingClientRect().right > {width} + 0.5 && !e.closest('.skip, option'))
      .map((e) => e.outerHTML.slice(0, 120)).slice(0, 3)""")
    assert browser.evaluate("document.documentElement.scrollWidth") <= width, over


def test_what_is_touched_is_large_enough(browser, page_url):
    browser.size(360, 740, mobile=True)
    reopen(browser, page_url, "#f=mxfp4&x=1,2,3,4,5")
    small = browser.evaluate("""
      [...document.querySelectorAll('button, select, input, textarea, summary')]
      .filter((e) => e.offsetParent)
      .map((e) => [e.outerHTML.slice(0, 80), e.getBoundingClientRect()])
      .filter(([, r]) => r.height < 40 || r.width < 40).map(([text]) => text)""")
    assert small == []


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_every_text_can_be_read(browser, page_url, theme):
    browser.theme(theme)
    for state in STATES:
        reopen(browser, page_url, state)
        found = browser.evaluate("""[...document.querySelectorAll('body *')]
            .filter((e) => e.getClientRects().length && !e.closest('svg, .stale'))
            .filter((e) => [...e.childNodes].some((n) => n.nodeType === 3 && n.data.trim()))
            .map((e) => {
          let back = e, colour;
          do { colour = getComputedStyle(back).backgroundColor; back = back.parentElement; }
          while (back && /, 0\\)$/.test(colour));
          return [getComputedStyle(e).color, colour];
        })""")
        for text, back in {tuple(pair) for pair in found}:
            assert contrast(_hex(text), _hex(back)) >= CONTRAST, (state, text, back)


def _hex(colour):
    parts = [int(part) for part in re.findall(r"\d+", colour)][:3]
    return "#" + "".join(f"{part:02x}" for part in parts)
