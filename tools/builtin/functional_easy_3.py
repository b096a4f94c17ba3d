"""Functions of a few lines: counting, order, simple rules with an edge."""

from spec import P

PROBLEMS = [
    P(
        id="builtin/count-vowels",
        difficulty="easy",
        title="Count the vowels",
        statement="Return how many vowels the string `s` contains. The vowels are a, e, i, o and "
        "u, small or capital.",
        entry_point="count_vowels",
        public=[(["hello"], 2), (["SKY"], 0), (["Iowa"], 3)],
        private=[[""], ["aeiou"], ["AEIOU"], ["yes"], ["banana"], ["xyz"], ["Queue up"], ["a1e2"]],
        reference="""\
def count_vowels(s: str) -> int:
    return sum(c in "aeiouAEIOU" for c in s)
""",
        wrong=[
            "def count_vowels(s):\n    return sum(c in 'aeiou' for c in s)\n",
            "def count_vowels(s):\n    return sum(c in 'aeiouy' for c in s.lower())\n",
            "def count_vowels(s):\n    return len(set(s.lower()) & set('aeiou'))\n",
            "def count_vowels(s):\n    return sum(c not in 'aeiou' for c in s.lower())\n",
        ],
    ),
    P(
        id="builtin/digit-sum",
        difficulty="easy",
        title="Digit sum",
        statement="Return the sum of the decimal digits of the integer `n`. "
        "A minus sign is ignored.",
        entry_point="digit_sum",
        public=[([123], 6), ([0], 0), ([-45], 9)],
        private=[[7], [10], [999], [-1], [-808], [123456789], [1000], [38]],
        reference="""\
def digit_sum(n: int) -> int:
    return sum(int(c) for c in str(abs(n)))
""",
        wrong=[
            "def digit_sum(n):\n    return sum(int(c) for c in str(n))\n",
            "def digit_sum(n):\n    return abs(n) % 9\n",
            "def digit_sum(n):\n    return len(str(abs(n)))\n",
            "def digit_sum(n):\n    s = 0\n    while n > 9:\n        s += n % 10\n"
            "        n //= 10\n    return s\n",
        ],
    ),
    P(
        id="builtin/fizz-buzz-value",
        difficulty="easy",
        title="Fizz or buzz",
        statement='Return "FizzBuzz" if the positive integer `n` is divisible by both 3 and 5, '
        '"Fizz" if only by 3, "Buzz" if only by 5, and otherwise `n` written in decimal, '
        "as a string.",
        entry_point="fizz_buzz",
        public=[([3], "Fizz"), ([5], "Buzz"), ([15], "FizzBuzz"), ([7], "7")],
        private=[[1], [6], [10], [30], [45], [98], [99], [100], [13]],
        reference="""\
def fizz_buzz(n: int) -> str:
    text = "Fizz" * (n % 3 == 0) + "Buzz" * (n % 5 == 0)
    return text or str(n)
""",
        wrong=[
            """\
def fizz_buzz(n):
    if n % 3 == 0:
        return "Fizz"
    if n % 5 == 0:
        return "Buzz"
    if n % 15 == 0:
        return "FizzBuzz"
    return str(n)
""",
            """\
def fizz_buzz(n):
    if n % 15 == 0:
        return "FizzBuzz"
    if n % 3 == 0:
        return "Buzz"
    if n % 5 == 0:
        return "Fizz"
    return str(n)
""",
            """\
def fizz_buzz(n):
    text = "Fizz" * (n % 3 == 0) + "Buzz" * (n % 5 == 0)
    return text or n
""",
        ],
    ),
    P(
        id="builtin/is-leap-year",
        difficulty="easy",
        title="Leap year",
        statement="Return `True` if the year `year` (a positive integer) is a leap year of the "
        "Gregorian calendar, else `False`. A year is a leap year if it is divisible by 4, except "
        "that years divisible by 100 are leap years only if they are divisible by 400.",
        entry_point="is_leap",
        public=[([2024], True), ([2023], False), ([1900], False)],
        private=[[2000], [2100], [2400], [4], [100], [400], [1999], [1996], [2200], [1]],
        reference="""\
def is_leap(year: int) -> bool:
    return year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
""",
        wrong=[
            "def is_leap(year):\n    return year % 4 == 0\n",
            "def is_leap(year):\n    return year % 4 == 0 and year % 100 != 0\n",
            "def is_leap(year):\n    return year % 4 == 0 or year % 400 == 0\n",
            "def is_leap(year):\n    return year % 4 == 0 and year % 400 != 0\n",
        ],
    ),
    P(
        id="builtin/second-largest",
        difficulty="easy",
        title="Second largest in a list",
        statement="Return the second largest distinct value of the list of integers `numbers`: "
        "the largest value that is smaller than the maximum. If there is none (fewer than two "
        "distinct values), return `None`.",
        entry_point="second_largest",
        public=[([[1, 2, 3]], 2), ([[5, 5]], None), ([[4, 4, 1]], 1)],
        private=[
            [[]],
            [[7]],
            [[2, 1]],
            [[9, 9, 8, 8]],
            [[-1, -2, -3]],
            [[3, 3, 3]],
            [[10, -10]],
            [[1, 5, 2, 5, 4]],
            [[0, -5]],
        ],
        reference="""\
def second_largest(numbers: list[int]) -> int | None:
    values = sorted(set(numbers))
    return values[-2] if len(values) > 1 else None
""",
        wrong=[
            "def second_largest(numbers):\n"
            "    return sorted(numbers)[-2] if len(numbers) > 1 else None\n",
            "def second_largest(numbers):\n    return sorted(set(numbers))[-2]\n",
            "def second_largest(numbers):\n    v = sorted(set(numbers))\n"
            "    return v[1] if len(v) > 1 else None\n",
            """\
def second_largest(numbers):
    first = second = 0
    for n in numbers:
        if n > first:
            first, second = n, first
        elif first > n > second:
            second = n
    return second or None
""",
        ],
    ),
    P(
        id="builtin/remove-repeats",
        difficulty="easy",
        title="Remove repeated values",
        statement="Return a list with each value of the list of integers `numbers` once, in the "
        "order in which the values first occur.",
        entry_point="unique",
        public=[([[1, 2, 1]], [1, 2]), ([[]], []), ([[3, 3, 3]], [3])],
        private=[
            [[5]],
            [[2, 1, 2, 1]],
            [[9, 1, 5, 1, 9]],
            [[1, 2, 3]],
            [[3, 2, 1]],
            [[0, 0, -1, -1, 0]],
            [[4, 4, 5, 5, 4]],
            [[100, 7, 100, 7, 8]],
        ],
        reference="""\
def unique(numbers: list[int]) -> list[int]:
    return list(dict.fromkeys(numbers))
""",
        wrong=[
            "def unique(numbers):\n    return sorted(set(numbers))\n",
            "def unique(numbers):\n    return [n for n in numbers if numbers.count(n) == 1]\n",
            """\
def unique(numbers):
    result = []
    for n in numbers:
        if not result or result[-1] != n:
            result.append(n)
    return result
""",
            "def unique(numbers):\n    return list(dict.fromkeys(numbers[::-1]))[::-1]\n",
        ],
    ),
    P(
        id="builtin/longest-word",
        difficulty="easy",
        title="Longest word",
        statement="The string `text` holds words separated by one or more spaces. Return the "
        "longest word; if several are longest, the first of them. If there is no word, return "
        "an empty string.",
        entry_point="longest_word",
        public=[(["a bbb cc"], "bbb"), (["one two"], "one"), ([""], "")],
        private=[
            ["word"],
            ["   "],
            ["aa bb cc"],
            ["x yy  zzz"],
            ["four five six"],
            ["zebra apple mango"],
            ["  lead and trail  "],
            ["to be or not"],
            ["b aa"],
        ],
        reference="""\
def longest_word(text: str) -> str:
    return max(text.split(), key=len, default="")
""",
        wrong=[
            "def longest_word(text):\n    return max(text.split(), key=len)\n",
            "def longest_word(text):\n    return max(text.split(), default='')\n",
            "def longest_word(text):\n    return sorted(text.split() or [''], key=len)[-1]\n",
            "def longest_word(text):\n"
            "    return sorted(text.split() or [''], key=lambda w: (-len(w), w))[0]\n",
        ],
    ),
    P(
        id="builtin/is-sorted-up",
        difficulty="easy",
        title="Is it sorted?",
        statement="Return `True` if the list of integers `numbers` is in non-decreasing order "
        "(equal neighbours are allowed), else `False`. Lists of fewer than two numbers are sorted.",
        entry_point="is_sorted",
        public=[([[1, 2, 2]], True), ([[2, 1]], False), ([[]], True)],
        private=[
            [[5]],
            [[1, 1]],
            [[1, 2, 3, 4]],
            [[1, 3, 2]],
            [[4, 3, 2, 1]],
            [[2, 1, 3]],
            [[-3, -2, 0]],
            [[0, -1]],
            [[1, 2, 3, 0]],
        ],
        reference="""\
def is_sorted(numbers: list[int]) -> bool:
    return numbers == sorted(numbers)
""",
        wrong=[
            "def is_sorted(numbers):\n    return numbers == sorted(set(numbers))\n",
            "def is_sorted(numbers):\n    return not numbers or numbers[0] <= numbers[-1]\n",
            "def is_sorted(numbers):\n"
            "    return all(numbers[i] <= numbers[i + 1] for i in range(len(numbers) - 2))\n",
            "def is_sorted(numbers):\n"
            "    return all(numbers[i] <= numbers[i + 1] for i in range(1, len(numbers) - 1))\n",
        ],
    ),
    P(
        id="builtin/coins-for-amount",
        difficulty="easy",
        title="Coins for an amount",
        statement="Coins of 25, 10, 5 and 1 cents exist, as many of each as needed. Return the "
        "smallest number of coins that make exactly `cents` (an integer, at least 0).",
        entry_point="coins",
        public=[([41], 4), ([0], 0), ([5], 1)],
        private=[[1], [4], [9], [24], [25], [30], [99], [100], [167]],
        reference="""\
def coins(cents: int) -> int:
    count = 0
    for coin in (25, 10, 5, 1):
        count += cents // coin
        cents %= coin
    return count
""",
        wrong=[
            "def coins(cents):\n    return cents // 25 + cents // 10 + cents // 5 + cents // 1\n",
            "def coins(cents):\n    return cents // 25 + cents % 25 // 5 + cents % 5\n",
            "def coins(cents):\n    return cents // 10 + cents % 10 // 5 + cents % 5\n",
            "def coins(cents):\n    return cents // 25 + cents % 25 // 10 + cents % 10 // 5\n",
        ],
    ),
    P(
        id="builtin/is-prime",
        difficulty="easy",
        title="Is it prime?",
        statement="Return `True` if the integer `n` is a prime number, else `False`. A prime is "
        "greater than 1 and divisible only by 1 and itself. `n` is at most 10000 and may be "
        "negative.",
        entry_point="is_prime",
        public=[([7], True), ([8], False), ([1], False)],
        private=[[2], [3], [4], [0], [-7], [9], [25], [49], [97], [7919], [9409], [9999]],
        reference="""\
def is_prime(n: int) -> bool:
    return n > 1 and all(n % d for d in range(2, int(n**0.5) + 1))
""",
        wrong=[
            "def is_prime(n):\n    return all(n % d for d in range(2, int(abs(n)**0.5) + 1))\n",
            "def is_prime(n):\n    return n > 1 and all(n % d for d in range(2, int(n**0.5)))\n",
            "def is_prime(n):\n    return n > 1 and (n == 2 or n % 2 == 1)\n",
            "def is_prime(n):\n    return n > 2 and all(n % d for d in range(2, n))\n",
        ],
    ),
]
