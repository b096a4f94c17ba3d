"""Medium stdin problems, part 4: from "Roman numerals" to "Roman numerals"."""

from spec import P

PROBLEMS = [
    P(
        id="builtin/roman-both-ways",
        difficulty="medium",
        title="Roman numerals",
        statement="""\
Read q (1 <= q <= 100), then q lines, each a number (1 to 3999) or a string of the letters
IVXLCDM. Print for a number its standard Roman numeral, for a string the number it stands for,
or `invalid` if it is not the standard numeral of any number from 1 to 3999 (`IIII`, `VX` and
`IIV` are not standard).""",
        public=[
            ("4\n4\nXIV\nIIII\n1990\n", "IV\n14\ninvalid\nMCMXC\n"),
            ("2\nVX\n9\n", "invalid\nIX\n"),
        ],
        private=[
            "2\n1\n3999\n",
            "3\nI\nMMMCMXCIX\nMMMM\n",
            "4\n40\n90\n400\n900\n",
            "4\nXL\nXC\nCD\nCM\n",
            "4\nIC\nXM\nVV\nLL\n",
            "4\nIXI\nIVI\nXCX\nCMC\n",
            "4\nIIX\nXXC\nCCM\nDM\n",
            "4\n444\n888\n3888\n2024\n",
            "4\nCDXLIV\nMMXXIV\nDCCCLXXXVIII\nXXXX\n",
            "80\n" + "".join(f"{i * 49 + 7}\n" for i in range(80)),
        ],
        reference=(
            ref := r"""parts = [(1000, "M"), (900, "CM"), (500, "D"), (400, "CD"), (100, "C"),
         (90, "XC"), (50, "L"), (40, "XL"), (10, "X"), (9, "IX"), (5, "V"), (4, "IV"), (1, "I")]


def roman(n):
    out = ""
    for value, letters in parts:
        out += letters * (n // value)
        n %= value
    return out


known = {roman(n): n for n in range(1, 4000)}
for _ in range(int(input())):
    text = input().strip()
    print(roman(int(text)) if text.isdigit() else known.get(text, "invalid"))
"""
        ),
        wrong=[
            ref.replace("range(1, 4000)", "range(1, 3999)"),
            ref.replace('(90, "XC"),', '(90, "LXXXX"),'),
            ref.replace(
                "known = {roman(n): n for n in range(1, 4000)}\n",
                r"""values = dict(zip("IVXLCDM", (1, 5, 10, 50, 100, 500, 1000)))


def number(text):
    total = 0
    for ch, after in zip(text, text[1:] + " "):
        v = values[ch]
        total += -v if v < values.get(after, 0) else v
    return total


""",
            ).replace('known.get(text, "invalid")', "number(text)"),
            ref.replace("range(1, 4000)", "range(1, 5000)"),
        ],
    ),
]
