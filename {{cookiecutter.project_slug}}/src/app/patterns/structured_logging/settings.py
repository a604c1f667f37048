"""What is written, for whom, and how much of it."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

_Endpoint = Annotated[str, Field(pattern=r"^[A-Z]+ /")]
_Ratio = Annotated[float, Field(ge=0, le=1)]


class LoggingSettings(BaseModel):
    """How loud the process may be. Errors, failed requests and slow requests are written whatever stands here."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    level: Literal["debug", "info", "warning", "error"] = Field("info", description="Lines below this are dropped.")
    format: Literal["json", "console"] = Field("json", description="`json` for machines, `console` for a terminal.")
    rate_per_second: float = Field(
        50.0, gt=0, description="Lines of one event in the long run; requests that succeed have a ratio instead."
    )
    burst: int = Field(1_000, ge=1, description="Lines of one event at once.")
    request_ratio: _Ratio = Field(1.0, description="Share of the lines `http.request` to keep.")
    request_ratios: dict[_Endpoint, _Ratio] = Field(
        {}, description='The same for hot endpoints, such as {"GET /v1/orders": 0.1}.'
    )
    slow_request_seconds: float = Field(0.5, gt=0, description="A request that takes longer is always written.")
    summary_seconds: float = Field(
        60.0, gt=0, description="Pause before the line that says how many lines were dropped, and of which events."
    )
    crash_folder: Path | None = Field(
        None, description="Where a crash of the interpreter is noted; by default among the temporary files."
    )
