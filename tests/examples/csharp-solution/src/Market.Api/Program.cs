var app = WebApplication.CreateBuilder(args).Build();
var port = Environment.GetEnvironmentVariable("PORT") ?? "5005";
app.Run($"http://0.0.0.0:{port}");
