var builder = WebApplication.CreateBuilder(args);
builder.Services.AddHealthChecks();
var app = builder.Build();
app.MapGet("/", () => "lit");
app.MapHealthChecks("/healthz");
app.Run();
