from dispatcher.api import AsyncDispatcher as AsyncDispatcher
from dispatcher.api import Dispatcher as Dispatcher
from dispatcher.api import DispatcherError as DispatcherError
from dispatcher.api import DispatchInterrupted as DispatchInterrupted
from dispatcher.api import DispatchResult as DispatchResult
from dispatcher.api import Ending as Ending
from dispatcher.api import PlanResult as PlanResult
from dispatcher.api import Rows as Rows
from dispatcher.api import StatusResult as StatusResult
from dispatcher.api import VerifyResult as VerifyResult

__version__: str
API: tuple[str, ...]
