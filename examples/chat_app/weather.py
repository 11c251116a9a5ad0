"""The weather anywhere, made up: the same place has the same weather all day long."""

import random
from datetime import UTC, datetime

SKIES = ("clear sky", "light clouds", "overcast", "fog", "drizzle", "rain", "thunderstorm", "snow")


def weather(city: str) -> dict[str, str | int]:
    draw = random.Random(f"{city.casefold()} {datetime.now(UTC).date()}")
    sky = draw.choice(SKIES)
    return {"city": city, "sky": sky, "celsius": draw.randint(-8, 1) if sky == "snow" else draw.randint(4, 29)}
