library(shiny)

ui <- fluidPage(
  titlePanel("Tide table"),
  sliderInput("days", "Days", min = 1, max = 30, value = 7),
  plotOutput("tide")
)

server <- function(input, output) {
  output$tide <- renderPlot(plot(sin(seq_len(input$days)), type = "l"))
}

shinyApp(ui = ui, server = server)
