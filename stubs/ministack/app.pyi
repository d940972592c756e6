from typing import Any

app: Any

def main() -> None: ...
