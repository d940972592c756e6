"""Amounts of money, which events have in minor units, as people read them."""

# ISO 4217: currencies whose minor unit is not a hundredth.
_MINOR_DIGITS = {
    **dict.fromkeys(
        (
            "BIF",
            "CLP",
            "DJF",
            "GNF",
            "ISK",
            "JPY",
            "KMF",
            "KRW",
            "PYG",
            "RWF",
            "UGX",
            "VND",
            "VUV",
            "XAF",
            "XOF",
            "XPF",
        ),
        0,
    ),
    **dict.fromkeys(("BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"), 3),
}


def amount(minor_units: int, currency: str) -> str:
    """An amount of minor units in its currency: EUR 1,234.56, JPY 1,235."""
    digits = _MINOR_DIGITS.get(currency, 2)
    whole, part = divmod(minor_units, 10**digits)
    return f"{currency} {whole:,}" + (f".{part:0{digits}}" if digits else "")
