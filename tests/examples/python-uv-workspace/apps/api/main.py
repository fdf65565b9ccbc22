from fleet_core import NAME
from starlette.applications import Starlette

app = Starlette()
app.state.name = NAME
